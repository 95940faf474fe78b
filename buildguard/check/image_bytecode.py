"""Bytecode in an image, compared with its sources by the image's own interpreter; and what is loaded in place of a source."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator

from buildguard.check.bytecode import StaleBytecode, SuspectBytecode, classify_bytecode, native_source
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven, display_path
from buildguard.docker.image_stage import ImageStage
from buildguard.engines.engine import Engine, ReadyEngine, Source
from buildguard.engines.worker import Greeting
from buildguard.errors import UnprovenError
from buildguard.system.cache import Cache, context_of

_SUFFIX = b".pyc"
_HEAD = 16
_SAME, _STALE = b"same", b"stale"
_REMEDY = "leave __pycache__ and *.pyc out of what is copied: a line for each in .dockerignore"


class BytecodeCheck:
    """Every `.pyc` of an image stage, as one interpreter would take it."""

    def __init__(self, stage: ImageStage, engine: Engine, ready: ReadyEngine, greeting: Greeting, cache: Cache) -> None:
        self._stage = stage
        self._engine = engine
        self._ready = ready
        self._cache = cache
        self._magic = bytes.fromhex(greeting.magic)
        self._tag = greeting.abi.partition(" ")[0].encode()
        self._names = {place: path for path, place in stage.places.items()}
        self.unproven: list[tuple[bytes, str]] = []

    def strays(self) -> list[StaleBytecode]:
        """Those that do not fit; `unproven` tells afterwards what could not be looked at."""
        stale: list[StaleBytecode] = []
        suspects: list[SuspectBytecode] = []
        for place, path in self._bytecode():
            data = self._stage.files.content(place)
            if not isinstance(data, bytes) or not self._magic:
                why_unknown = "its interpreter does not tell what its bytecode begins with"
                self.unproven.append((place, why_unknown if isinstance(data, bytes) else data.reason))
                continue
            classified = classify_bytecode(path, data[:_HEAD], self._stage.files.entries, self._magic, self._tag)
            if isinstance(classified, SuspectBytecode):
                suspects.append(classified._replace(path=place))
            elif classified is not None:
                stale.append(classified._replace(path=place))
        return [*stale, *self._native(), *self._compared(suspects)]

    def _bytecode(self) -> Iterator[tuple[bytes, bytes]]:
        """Each `.pyc` that this interpreter may read, and the path that it has where the cache is beside the sources."""
        prefix = self._stage.cache_folder
        for place in sorted(self._stage.places.values()):
            if place.endswith(_SUFFIX) and not (prefix and b"/__pycache__/" in place):
                yield place, place
        for place in sorted(self._stage.files.entries) if prefix else ():
            folder, name = posixpath.split(place[len(prefix) :])
            if place.startswith(prefix + b"/") and self._is_own(
                posixpath.join(folder, name.partition(b".")[0] + b".py")
            ):
                yield place, posixpath.join(folder, b"__pycache__", name)

    def _native(self) -> Iterator[StaleBytecode]:
        """The compiled modules that are loaded in place of a source of the project; packages bring such on purpose."""
        for place in sorted(self._stage.places.values()):
            source = native_source(place, self._tag)
            if source in self._stage.files.entries and self._is_own(source):
                name = display_path(posixpath.basename(source))
                reason = f"an import loads it instead of {name}, and it cannot be compared with that"
                yield StaleBytecode(place, reason, runs=True, is_module=True)

    def _is_own(self, source: bytes) -> bool:
        """Whether a file of the image is the project's, by a path of its own there."""
        return self._names.get(source, source) != source

    def name(self, place: bytes) -> bytes:
        """The report's path for a path in the image."""
        return self._names.get(place, place)

    def _compared(self, suspects: list[SuspectBytecode]) -> Iterator[StaleBytecode]:
        """Ask the interpreter whether the code is its source's, but for what an earlier run has asked."""
        context = context_of("bytecode", self._ready.identity)
        files = self._stage.files.entries
        keys = [
            hashlib.sha256(b"%d" % suspect.level + files[suspect.source].digest + files[suspect.path].digest).digest()
            for suspect in suspects
        ]
        answers = self._cache.known(context, keys)
        asked = [at for at, key in enumerate(keys) if key not in answers]
        new = dict(self._asked(suspects, asked, keys))
        self._cache.store(context, new)
        answers |= new
        for key, suspect in zip(keys, suspects, strict=True):
            answer = answers.get(key)
            if answer is None:
                self.unproven.append((suspect.path, "its code was not compared with its source"))
            elif answer == _STALE:
                yield StaleBytecode(suspect.path, "its hash is not its source's: no import takes it", runs=False)
            elif answer != _SAME:
                source = display_path(self.name(suspect.source))
                yield StaleBytecode(
                    suspect.path, f"an import runs it instead of {source}, and it holds other code", runs=True
                )

    def _asked(
        self, suspects: list[SuspectBytecode], asked: list[int], keys: list[bytes]
    ) -> Iterator[tuple[bytes, bytes]]:
        try:
            for outcome in self._engine.compile(self._questions(suspects, asked)):
                refused = outcome.rejected
                if not outcome.unproven and (refused is None or not refused.crashed):
                    kind = _SAME if refused is None else refused.kind.encode()
                    yield keys[outcome.number], kind
        except UnprovenError:
            return  # what was not answered is told as unproven

    def _questions(self, suspects: list[SuspectBytecode], asked: Iterable[int]) -> Iterator[Source]:
        files = self._stage.files
        for at in asked:
            suspect = suspects[at]
            data, code = files.content(suspect.source), files.content(suspect.path)
            if isinstance(data, bytes) and isinstance(code, bytes):
                yield Source(at, data, hashlib.sha256(data).digest(), code, suspect.level)


def report_bytecode(
    stale: list[StaleBytecode], bytecode: BytecodeCheck, target: str
) -> tuple[list[Diagnostic], list[Unproven]]:
    """BG405 for each `.pyc` that runs, one for all others of a kind; what cannot be checked is unproven."""
    diagnostics = []
    unproven = [Unproven(display_path(bytecode.name(place)), target, why) for place, why in bytecode.unproven]
    idle: dict[tuple[str, bool], list[bytes]] = {}
    for bytecode_file in stale:
        if not bytecode_file.runs:
            # what was installed goes by its place in the image, and is told apart from the project's
            idle.setdefault((bytecode_file.reason, bytecode.name(bytecode_file.path) == bytecode_file.path), []).append(
                bytecode_file.path
            )
        elif bytecode_file.is_module:
            unproven.append(Unproven(display_path(bytecode.name(bytecode_file.path)), target, bytecode_file.reason))
        else:
            diagnostics.append(
                _diagnostic(bytecode.name(bytecode_file.path), bytecode_file.reason, Severity.ERROR, target)
            )
    for (reason, _installed), paths in idle.items():
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        diagnostics.append(
            _diagnostic(bytecode.name(paths[0]), f"stray bytecode: {reason}{more}", Severity.WARNING, target)
        )
    return diagnostics, unproven


def _diagnostic(path: bytes, message: str, severity: Severity, target: str) -> Diagnostic:
    return Diagnostic(Code.BG405, severity, display_path(path), Range(), message, _REMEDY, target, "container")
