"""The projects that the caller has access to: every call names one, and another's is refused as Google refuses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.api_core import exceptions as api

from buildguard.definitions import lazy_pattern

# projects/PROJECT/…, namespaces/PROJECT/… of Knative, and the operations of Cloud Build
_IN_NAME = lazy_pattern(r"(?:^|/)(?:projects|namespaces|operations/build)/(?P<project>[^/:]+)")
_FIELDS = ("parent", "name", "service", "job")


class Projects:
    """Projects by their ids."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def check(self, project: str) -> None:
        """Raise what Google answers for a project that does not exist or is closed to the caller."""
        if project and project not in self._names:
            raise api.PermissionDenied(f"Permission denied on resource project {project}.")

    def check_name(self, name: str) -> None:
        """The same for a resource's name, or the path of a request."""
        match = _IN_NAME.search(name)
        if match is not None:
            self.check(match["project"])

    def check_request(self, request: Any) -> None:
        """The same for whatever a message of Google's is about."""
        self.check(str(getattr(request, "project_id", "")))
        for name in _names_of(request):
            self.check_name(name)


def _names_of(request: Any) -> Iterator[str]:
    for field in _FIELDS:
        value = getattr(request, field, "")
        yield value if isinstance(value, str) else str(getattr(value, "name", ""))
