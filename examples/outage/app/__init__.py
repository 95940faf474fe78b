"""A small order service; written on Python 3.12, deployed on 3.11."""
