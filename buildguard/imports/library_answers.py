"""Whether a target's standard library has a module or name, by what is documented and what an interpreter said. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from buildguard.definitions import TYPE_CHECKING, NamedTuple, StrEnum, words
from buildguard.imports import standard_names

if TYPE_CHECKING:
    from typing import TypeAlias

# Functions of `os` and its like that a C library or kernel may lack.
_BUILD_NAMES = words("""
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


Question: TypeAlias = "tuple[str, frozenset[str]]"  # a dotted module, and names in it


class LibraryReply(NamedTuple):
    """What an interpreter said of a module: "yes", "no" or "unknown", the exception, its names, and its platform."""

    module: str
    words: str
    names: Mapping[str, str]
    platform: str


class AnswerJudge:
    """Judges what an interpreter said, for one minor version and platform; `is_image` says that it is the target's own."""

    def __init__(self, minor: int, platform: str, *, is_image: bool) -> None:
        self._minor = minor
        self._platform = platform
        self._is_image = is_image

    def answer(
        self, questions: Iterable[Question], ask: Callable[[list[Question]], Mapping[str, LibraryReply]]
    ) -> dict[str, LibraryAnswer]:
        """An answer for each module of the standard library; `ask` is asked about what is not documented."""
        questions = [question for question in questions if standard_names.is_standard(_top(question[0]))]
        replies = ask([question for question in questions if self._documented(question[0]) is None])
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
        if not standard_names.is_in(top, self._minor):
            return LibraryAnswer(Availability.MISSING, standard_names.history_of(top, self._minor))
        if self._platform != "win32" and top in standard_names.WINDOWS_ONLY:
            return LibraryAnswer(Availability.MISSING, "only on Windows")
        if self._platform == "win32" and (top in standard_names.UNIX_ONLY or module in standard_names.UNIX_ONLY):
            return LibraryAnswer(Availability.MISSING, "not on Windows")
        return None

    # --- what the interpreter says

    def _judge(self, module: str, names: frozenset[str], reply: LibraryReply | None) -> LibraryAnswer:
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

    def _judge_name(self, module: str, name: str, reply: LibraryReply, *, same: bool) -> Availability:
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


def replies_from(data: bytes) -> dict[str, LibraryReply]:
    """What an interpreter's answer says of each module; raises ValueError where it cannot be read."""
    try:
        said = json.loads(data.decode("ascii"))
        platform, answers = str(said["platform"]), said["answers"]
        return {
            module: LibraryReply(str(verdict), str(words), MappingProxyType(dict(names)), platform)
            for module, (verdict, words, names) in answers.items()
        }
    except (KeyError, TypeError) as error:
        raise ValueError(f"the interpreter's answers cannot be read: {error}") from error


def _top(module: str) -> str:
    return module.partition(".")[0]


def _undecided(names: Iterable[str]) -> LibraryAnswer:
    return LibraryAnswer(Availability.UNDECIDED, "", dict.fromkeys(names, Availability.UNDECIDED))


def _depends_on_installation(module: str, reply: LibraryReply) -> bool:
    """Whether another installation of the same version may have what this one lacks."""
    missing = reply.words.partition(":")[0]
    cause = _top(missing) if missing else ""
    if cause in standard_names.WINDOWS_ONLY:
        return False
    if _top(module) in standard_names.OPTIONAL or standard_names.is_private(_top(module)):
        return True
    return cause in standard_names.OPTIONAL or (cause.startswith("_") and cause != _top(module))
