"""The top-level modules of one version's standard library, as a set."""

from __future__ import annotations

from collections.abc import Container

from buildguard.imports import standard_names


class LibraryModules(Container[str]):
    """The modules that the standard library of Python 3.`minor` has."""

    def __init__(self, minor: int) -> None:
        self._minor = minor

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and standard_names.is_standard(name) and standard_names.is_in(name, self._minor)
