"""The check: from sources and targets to findings."""

from buildguard import make_callable

make_callable(__name__)
