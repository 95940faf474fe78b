"""Strict readers and a writer of tar, gzip and zip archives."""
