"""The standard library of a target, asked of its own interpreter; what that cannot decide stays undecided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from types import MappingProxyType

from buildguard.engines.engine import Engine, EngineName, ReadyEngine, Source
from buildguard.errors import UnprovenError
from buildguard.imports.library_answers import AnswerJudge, LibraryAnswer, LibraryReply, Question, replies_from
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache, context_of

_ASKED = frozenset({EngineName.INTERPRETER, EngineName.CONTAINER})
_LINUX = "linux"


class StandardLibrary:
    """Answers for one target: what is documented of its version, and what its interpreter says."""

    def __init__(self, engine: Engine, ready: ReadyEngine, cache: Cache, platform: str = _LINUX) -> None:
        self._engine = engine
        self._cache = cache
        self._context = context_of("the standard library", ready.engine, ready.identity)
        self.is_lost = False
        self._can_ask = ready.engine in _ASKED
        version = PythonVersion.parse(ready.version)
        self.minor = version.minor if version is not None else 0
        self._judge = AnswerJudge(self.minor, platform, is_image=ready.proof.is_enough(ProofGrade.IMAGE))

    def ask(self, questions: Iterable[Question]) -> dict[str, LibraryAnswer]:
        """An answer for each module of the standard library; raises ValueError where the interpreter's cannot be read."""
        return self._judge.answer(questions, self._replies)

    def _replies(self, questions: list[Question]) -> dict[str, LibraryReply]:
        """What the interpreter said of some modules, in this run or an earlier one."""
        if not self._can_ask:
            return {}
        keys = {question: _key(question) for question in questions}
        cached = self._cache.known(self._context, list(keys.values()))
        replies = {module: _unpack(cached[key]) for (module, _names), key in keys.items() if key in cached}
        fresh = {question: key for question, key in keys.items() if key not in cached}
        if fresh:
            asked = self._ask_interpreter(list(fresh))
            self._cache.store(
                self._context,
                {fresh[question]: _pack(asked[question[0]]) for question in fresh if question[0] in asked},
            )
            replies.update(asked)
        return replies

    def _ask_interpreter(self, questions: list[Question]) -> dict[str, LibraryReply]:
        data = json.dumps([[module, sorted(names)] for module, names in questions]).encode("ascii")
        source = Source(0, data, hashlib.sha256(data).digest(), is_question=True)
        try:
            (outcome,) = self._engine.compile([source])
        except UnprovenError:
            self.is_lost = True
            return {}
        if outcome.unproven or outcome.rejected is not None or not outcome.facts:
            self.is_lost = True
            return {}
        return replies_from(outcome.facts)


def _pack(reply: LibraryReply) -> bytes:
    return json.dumps([reply.module, reply.words, dict(reply.names), reply.platform]).encode("ascii")


def _unpack(data: bytes) -> LibraryReply:
    module, words, names, platform = json.loads(data)
    return LibraryReply(module, words, MappingProxyType(names), platform)


def _key(question: Question) -> bytes:
    module, names = question
    return hashlib.sha256("\0".join((module, *sorted(names))).encode("utf-8", "surrogatepass")).digest()
