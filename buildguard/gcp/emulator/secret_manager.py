"""Secret Manager on loopback: the states of secret versions and who may read them, as far as buildguard asks."""

from __future__ import annotations

from typing import Any

from google.api_core import exceptions as api

from buildguard.definitions import lazy_pattern

_VERSION = lazy_pattern(r"/v1/projects/(?P<project>[^/]+)/secrets/(?P<name>[^/:]+)/versions/(?P<version>[^/:]+)")
_POLICY = lazy_pattern(r"/v1/projects/(?P<project>[^/:]+)(?:/secrets/(?P<name>[^/:]+))?:getIamPolicy")
_ROLE = "roles/secretmanager.secretAccessor"


class SecretManagerEmulator:
    """The secrets of every project; a test puts them here."""

    def __init__(self) -> None:
        self._versions: dict[tuple[str, str], list[str]] = {}
        self._readers: dict[tuple[str, str], list[str]] = {}

    def add(self, project: str, name: str, *states: str, readers: tuple[str, ...] = ()) -> None:
        """A secret with the states of its versions, the oldest first."""
        self._versions[project, name] = list(states) or ["ENABLED"]
        self._readers[project, name] = list(readers)

    def find(self, path: str) -> dict[str, Any] | None:
        """What a path of the API gives, None for a path of another API; raises Google's own errors."""
        if match := _VERSION.fullmatch(path):
            return self._version(match["project"], match["name"], match["version"])
        if match := _POLICY.fullmatch(path):
            members = self._readers.get((match["project"], match["name"] or ""), [])
            return {"bindings": [{"role": _ROLE, "members": members}] if members else []}
        return None

    def _version(self, project: str, name: str, version: str) -> dict[str, Any]:
        states = self._versions.get((project, name), [])
        number = len(states) if version == "latest" else int(version) if version.isdigit() else 0
        if not 0 < number <= len(states):
            raise api.NotFound(f"Secret Version [projects/{project}/secrets/{name}/versions/{version}] not found.")
        return {"name": f"projects/{project}/secrets/{name}/versions/{number}", "state": states[number - 1]}
