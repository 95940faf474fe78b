"""The newest Python at hand, asked which of the refused sources it accepts."""

from __future__ import annotations

from collections.abc import Sequence

from buildguard.check.context import Job
from buildguard.codes import RULE_ERRORS
from buildguard.diagnose.incident import SourceLocation, TargetRefusal
from buildguard.errors import UnprovenError
from buildguard.project.target import NEWEST, PythonVersion

REFUSED = RULE_ERRORS | {"BG101", "BG103"}


class NewestPython:
    """The newest Python at hand: it tells what is refused for its age only."""

    def __init__(self, job: Job) -> None:
        self._root = job.place.root

    def accepts(self, files: dict[str, bytes], minor: int) -> dict[str, str]:
        """By path, the Python newer than `minor` that accepts a file; empty where the newest refuses it; less, unasked."""
        found: dict[str, str] = {}
        for ask in (self._compiled, self._predicted):
            names = [name for name in files if not found.get(name)]
            asked = ask([files[name] for name in names], minor) if names else None
            if asked is not None:
                version, accepted = asked
                found |= {name: version if at in accepted else "" for at, name in enumerate(names)}
        return found

    def _compiled(self, sources: Sequence[bytes], minor: int) -> tuple[str, set[int]] | None:
        """By the newest Python of this machine: its version, and the numbers of the sources that it accepts."""
        from buildguard.engines.interpreter import find_accepted
        from buildguard.engines.pool import source_of
        from buildguard.system.pythons import candidates

        numbered = [source_of(at, data) for at, data in enumerate(sources)]
        for newest in range(NEWEST, minor, -1):
            for path, _where in candidates(f"3.{newest}", self._root):
                try:
                    return find_accepted(path, numbered)
                except UnprovenError:
                    continue
        return None

    @staticmethod
    def _predicted(sources: Sequence[bytes], minor: int) -> tuple[str, set[int]] | None:
        """By ruff, for what no Python here is new enough for."""
        from buildguard.engines.engine import UnavailableEngine
        from buildguard.engines.pool import source_of
        from buildguard.engines.static import StaticEngine

        for newest in range(NEWEST, minor, -1):
            engine = StaticEngine(PythonVersion(newest))
            if isinstance(engine.prepare(), UnavailableEngine):
                continue
            try:
                outcomes = list(engine.compile(iter([source_of(at, data) for at, data in enumerate(sources)])))
            except UnprovenError:
                return None
            finally:
                engine.close()
            return f"3.{newest} (predicted)", {
                one.number for one in outcomes if one.rejected is None and not one.unproven
            }
        return None

    def verdict(self, content: bytes, place: SourceLocation, job: Job) -> TargetRefusal | None:
        """What the target makes of a file as it was once: by its own f-string rules, or by its interpreter."""
        from buildguard.fstrings import rules

        version = next((target.version for target in job.targets if target.version is not None), None)
        if version is None:
            return None
        found = [one for one in rules.findings(content, version.minor) if one.code in REFUSED]
        accepted = self.accepts({place.path: content}, version.minor)
        if not found:
            return None
        first = next((one for one in found if one.range.line == place.line), found[0])
        return TargetRefusal(place, first.code, first.message, str(version), accepted.get(place.path))
