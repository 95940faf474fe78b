"""The names of the standard library's top-level modules, of every Python from 3.8 on."""

from __future__ import annotations

import sys

_OF_OTHER_VERSIONS = frozenset(
    [
        "_bootlocale",
        "aifc",
        "annotationlib",
        "asynchat",
        "asyncore",
        "audioop",
        "binhex",
        "cgi",
        "cgitb",
        "chunk",
        "compression",
        "crypt",
        "distutils",
        "dummy_threading",
        "formatter",
        "imghdr",
        "imp",
        "lib2to3",
        "macpath",
        "mailcap",
        "msilib",
        "nis",
        "nntplib",
        "ossaudiodev",
        "parser",
        "pipes",
        "smtpd",
        "sndhdr",
        "spwd",
        "sunau",
        "symbol",
        "telnetlib",
        "tomllib",
        "uu",
        "xdrlib",
        "test",
        "idlelib",
        "turtledemo",
    ]
)
STANDARD = frozenset(sys.stdlib_module_names) | _OF_OTHER_VERSIONS
