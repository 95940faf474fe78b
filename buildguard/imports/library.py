"""The standard library of a target, asked of its own interpreter; what that cannot decide stays undecided."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from buildguard.engines.engine import Engine, EngineName, ReadyEngine, Source
from buildguard.errors import UnprovenError
from buildguard.imports import standard_names
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache, context_of

_ASKED = frozenset({EngineName.INTERPRETER, EngineName.CONTAINER})
_LINUX = "linux"
# Functions of `os` and its like that a C library or kernel may lack.
_BUILD_NAMES = standard_names.words("""
    copy_file_range eventfd eventfd_read eventfd_write getrandom getresgid getresuid grantpt lchflags lchmod login_tty
    memfd_create pidfd_getfd pidfd_open pidfd_send_signal posix_fadvise posix_fallocate posix_openpt posix_spawn
    posix_spawnp preadv ptsname pwritev sched_getaffinity sched_setaffinity setns splice timerfd_create timerfd_gettime
    timerfd_settime unlockpt unshare clock_settime clock_getcpuclockid pthread_getcpuclockid tzset epoll kqueue devpoll
    kevent sethostname if_nameindex recvmsg sendmsg getxattr setxattr listxattr removexattr
    """)


class Availability(StrEnum):
    """Whether the target has a module or name."""

    PRESENT = "present"
    MISSING = "missing"
    UNDECIDED = "undecided"


class LibraryAnswer(NamedTuple):
    """Whether a target has a module, why not in words, and whether it has each name that was asked for."""

    module: Availability
    words: str = ""
    names: Mapping[str, Availability] = MappingProxyType({})


Question = tuple[str, frozenset[str]]  # a dotted module, and names in it


class StandardLibrary:
    """LibraryAnswers for one target: what is documented of its version, and what its interpreter says."""

    def __init__(self, engine: Engine, ready: ReadyEngine, cache: Cache, platform: str = _LINUX) -> None:
        self._engine = engine
        self._cache = cache
        self._platform = platform
        self._context = context_of("the standard library", ready.engine, ready.identity)
        self.is_lost = False
        self._can_ask = ready.engine in _ASKED
        self._is_image = ready.proof.is_enough(ProofGrade.IMAGE)
        version = PythonVersion.parse(ready.version)
        self.minor = version.minor if version is not None else 0

    def ask(self, questions: Iterable[Question]) -> dict[str, LibraryAnswer]:
        """An answer for each module of the standard library; raises ValueError where the interpreter's cannot be read."""
        questions = [question for question in questions if standard_names.is_standard(_top(question[0]))]
        asked = [question for question in questions if self._documented(question[0]) is None]
        replies = self._replies(asked) if self._can_ask else {}
        answers = {}
        for module, names in questions:
            documented = self._documented(module)
            answers[module] = documented if documented is not None else self._judge(module, names, replies.get(module))
        return answers

    # --- what is documented

    def _documented(self, module: str) -> LibraryAnswer | None:
        """What needs no interpreter: modules of another version or platform."""
        top = _top(module)
        if standard_names.is_private(top):
            return None
        if not standard_names.is_in(top, self.minor):
            return LibraryAnswer(Availability.MISSING, standard_names.history_of(top, self.minor))
        if self._platform != "win32" and top in standard_names.WINDOWS_ONLY:
            return LibraryAnswer(Availability.MISSING, "only on Windows")
        if self._platform == "win32" and (top in standard_names.UNIX_ONLY or module in standard_names.UNIX_ONLY):
            return LibraryAnswer(Availability.MISSING, "not on Windows")
        return None

    # --- what the interpreter says

    def _judge(self, module: str, names: frozenset[str], reply: _Reply | None) -> LibraryAnswer:
        if reply is None or reply.module == "unknown":
            return _undecided(names)
        same = reply.platform == self._platform
        if reply.module == "no":
            if self._is_image and same:
                return LibraryAnswer(
                    Availability.MISSING, "this image does not have it" if not reply.words else reply.words
                )
            if _depends_on_installation(module, reply) or not same:
                return _undecided(names)
            return LibraryAnswer(Availability.MISSING, reply.words)
        return LibraryAnswer(
            Availability.PRESENT, "", {name: self._judge_name(module, name, reply, same=same) for name in names}
        )

    def _judge_name(self, module: str, name: str, reply: _Reply, *, same: bool) -> Availability:
        verdict = reply.names.get(name, "unknown")
        depends = _top(module) in standard_names.BUILD_DEPENDENT
        if verdict == "yes":
            return Availability.PRESENT if same or not depends else Availability.UNDECIDED
        if verdict != "no":
            return Availability.UNDECIDED
        if self._is_image and same:
            return Availability.MISSING
        optional = name in _BUILD_NAMES or f"{module}.{name}" in standard_names.OPTIONAL
        if not same or optional or (module, name) in standard_names.PATCH_NAMES:
            return Availability.UNDECIDED
        return Availability.UNDECIDED if depends and name.isupper() else Availability.MISSING

    def _replies(self, questions: list[Question]) -> dict[str, _Reply]:
        """What the interpreter said of some modules, in this run or an earlier one."""
        keys = {question: _key(question) for question in questions}
        cached = self._cache.known(self._context, list(keys.values()))
        replies = {module: _Reply.read(cached[key]) for (module, _names), key in keys.items() if key in cached}
        fresh = {question: key for question, key in keys.items() if key not in cached}
        if fresh:
            asked = self._ask_interpreter(list(fresh))
            self._cache.store(
                self._context,
                {fresh[question]: asked[question[0]].written() for question in fresh if question[0] in asked},
            )
            replies.update(asked)
        return replies

    def _ask_interpreter(self, questions: list[Question]) -> dict[str, _Reply]:
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
        try:
            said = json.loads(outcome.facts)
            platform, answers = str(said["platform"]), said["answers"]
            return {
                module: _Reply(str(verdict), str(words), MappingProxyType(dict(names)), platform)
                for module, (verdict, words, names) in answers.items()
            }
        except (KeyError, TypeError) as error:
            raise ValueError(f"the interpreter's answers cannot be read: {error}") from error


class _Reply(NamedTuple):
    """What an interpreter said of a module: "yes", "no" or "unknown", the exception, its names, and its platform."""

    module: str
    words: str
    names: Mapping[str, str]
    platform: str

    def written(self) -> bytes:
        return json.dumps([self.module, self.words, dict(self.names), self.platform]).encode("ascii")

    @classmethod
    def read(cls, data: bytes) -> _Reply:
        module, words, names, platform = json.loads(data)
        return cls(module, words, MappingProxyType(names), platform)


def _top(module: str) -> str:
    return module.partition(".")[0]


def _undecided(names: Iterable[str]) -> LibraryAnswer:
    return LibraryAnswer(Availability.UNDECIDED, "", dict.fromkeys(names, Availability.UNDECIDED))


def _depends_on_installation(module: str, reply: _Reply) -> bool:
    """Whether another installation of the same version may have what this one lacks."""
    missing = reply.words.partition(":")[0]
    cause = _top(missing) if missing else ""
    if cause in standard_names.WINDOWS_ONLY:
        return False
    if _top(module) in standard_names.OPTIONAL or standard_names.is_private(_top(module)):
        return True
    return cause in standard_names.OPTIONAL or (cause.startswith("_") and cause != _top(module))


def _key(question: Question) -> bytes:
    module, names = question
    return hashlib.sha256("\0".join((module, *sorted(names))).encode("utf-8", "surrogatepass")).digest()
