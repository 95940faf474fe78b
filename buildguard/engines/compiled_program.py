"""What reads imports inside a target's interpreter, as that interpreter compiled it: kept, for compiling it takes longer than a start."""

from __future__ import annotations

from contextlib import suppress

from buildguard.definitions import TYPE_CHECKING
from buildguard.engines.worker import FactsProgram
from buildguard.errors import UnprovenError
from buildguard.system.cache import Cache, context_of

if TYPE_CHECKING:
    from buildguard.engines.pool import Pool

_PROGRAM = b"program"


class CompiledProgram:
    """The program of one interpreter; its identity holds the text that was compiled, and everything about who did."""

    def __init__(self, cache: Cache, identity: str) -> None:
        self._cache = cache
        self._context = context_of("compiled program", identity)
        self._code: bytes | None = None  # not asked for yet

    def program(self) -> FactsProgram:
        """The code where a run has kept it, else the source."""
        from buildguard.engines.pool import source_program

        code = self.code()
        return FactsProgram(code, is_compiled=True) if code else source_program()

    def code(self) -> bytes:
        """The code as `marshal` writes it; empty where no run has kept it."""
        if self._code is None:
            self._code = self._cache.known(self._context, [_PROGRAM]).get(_PROGRAM, b"")
        return self._code

    def keep(self, pool: Pool) -> None:
        """Have the interpreter's own words kept, if they were missing in this run."""
        if self._code != b"" or not self._cache.keeps:
            return
        from buildguard.engines.pool import source_of

        question = source_of(0, b"")._replace(is_question=True)
        with suppress(UnprovenError):  # every verdict is there already
            for outcome in pool.run(iter([question])):
                self._code = b"" if outcome.unproven else outcome.facts
        if self._code:
            self._cache.store(self._context, {_PROGRAM: self._code})
