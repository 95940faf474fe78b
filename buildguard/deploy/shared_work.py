"""What several deploys of one commit do once: the check, the archive and the upload, an image for all its regions."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from buildguard.errors import GuardError

_Result = TypeVar("_Result")


class SharedWork:
    """Results by what they are of; a failure is one too, and is raised again."""

    def __init__(self) -> None:
        self.builds: dict[str, str] = {}  # ids of builds in Cloud Build by the key of a prepared deploy
        self._results: dict[Hashable, Any] = {}

    def once(self, key: Hashable, act: Callable[[], _Result], *, keeps_failure: bool = True) -> _Result:
        """The result of `act`, which is called for the first of several equal keys. Raises the GuardError that it raised."""
        if key not in self._results:
            try:
                self._results[key] = act()
            except GuardError as error:
                if not keeps_failure:
                    raise
                self._results[key] = error
        result = self._results[key]
        if isinstance(result, GuardError):
            raise result
        shared: _Result = result
        return shared
