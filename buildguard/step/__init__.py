"""The step of a build: one file that any Python from 3.8 on runs with its standard library alone.

`file` puts it together from the other modules of this package, which are written for that, and from the probe, so that a
step judges as `check` does.
"""
