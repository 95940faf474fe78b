"""What a build's steps answered, read back strictly: outcomes by the bytes that were compiled, and the workspace. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple
from buildguard.engines.engine import Outcome, Source
from buildguard.engines.worker import (
    Greeting,
    ProbeLimits,
    crash_rejection,
    greeting_from,
    outcome_of,
    settle_retry,
    timeout_outcome,
)
from buildguard.errors import UnprovenError
from buildguard.remote.wire import read_list
from buildguard.system.process import describe_ending

_NOT_ASKED = "the build did not compile these bytes: other ones lay there"


class StepEnd(NamedTuple):
    """How a step of the build ended: its exit status, the last lines of its log, and where the whole log is."""

    code: int
    log: tuple[str, ...]
    log_url: str


class ProbeResults(NamedTuple):
    """What the steps of one target reported: the greeting of its probes, and an answer for each SHA-256 of a source.

    `changed` are files of the workspace that are not what was sent, with their contents; `manifest` the rows of the
    workspace; `unread` the reasons why a file of it was not compiled.
    """

    greeting: Greeting
    answers: Mapping[bytes, tuple[bytes, ...]]
    changed: Mapping[bytes, bytes]
    unread: Mapping[bytes, str]
    manifest: bytes

    def outcome(self, source: Source) -> Outcome:
        """What came of a source; raises ValueError where the answer is none."""
        answer = self.answers.get(source.digest)
        if answer is None:
            return Outcome(source.number, source.digest, unproven=_NOT_ASKED)
        mark, *fields = answer
        if int(fields[1]) != len(source.data):
            raise ValueError("an answer is for another size")
        wide = ProbeLimits().wider()
        if mark == b"A":
            return outcome_of(source, fields)
        if mark == b"S":
            return settle_retry(source, outcome_of(source, fields), wide)
        if mark == b"T":
            return timeout_outcome(source, ProbeLimits())
        status, memory = int(fields[3]), int(fields[4])
        if status >= 0:
            return Outcome(
                source.number, source.digest, unproven=f"the probe ended before it answered: {describe_ending(status)}"
            )
        return settle_retry(source, Outcome(source.number, source.digest, crash_rejection(status, memory, wide)), wide)


def read_results(
    target: int,
    outputs: Sequence[bytes],
    shares: int,
    artifact: Callable[[str], bytes],
    ends: Sequence[StepEnd] = (),
) -> ProbeResults:
    """What the steps of a target reported, by what each wrote to `$BUILDER_OUTPUT`; `artifact` fetches what that names.

    `shares` is how many steps there were, `ends` how each of them ended, for the message about one that wrote nothing.

    Raises UnprovenError if a step printed nothing or failed, or an artifact is not what it wrote.
    """
    outputs = outputs or [b""] * shares
    if len(outputs) != shares:
        raise UnprovenError("the build does not tell what each of its steps wrote")
    reader = _AnswerReader()
    manifest = b""
    for share, output in enumerate(outputs):
        words = _parse_output(output, f"{share}/{shares}", ends[share : share + 1])
        if share == 0:
            manifest = _fetch_artifact(f"manifest-{target}", words, artifact)
        lists = _lists(_fetch_artifact(f"answers-{target}-{share}", words, artifact))
        try:
            reader.add(lists)
        except (ValueError, IndexError, TypeError) as error:
            raise UnprovenError(f"the answers of the build cannot be read: {error}") from error
    return reader.results(manifest)


class _AnswerReader:
    """The answers of one target, gathered from its steps."""

    def __init__(self) -> None:
        self._greeting: Greeting | None = None
        self._answers: dict[bytes, tuple[bytes, ...]] = {}
        self._changed: dict[bytes, bytes] = {}
        self._unread: dict[bytes, str] = {}

    def add(self, lists: Sequence[list[bytes]]) -> None:
        """Take what one step wrote; raises ValueError, IndexError or TypeError where that is no answer."""
        greeting = greeting_from(lists[0])
        if self._greeting not in {None, greeting}:
            raise UnprovenError("the steps of one target ran in different interpreters")
        self._greeting = greeting
        for fields in lists[1:]:
            if fields[0] == b"C":
                self._changed[fields[1]] = fields[2]
            elif fields[0] == b"U":
                self._unread[fields[1]] = fields[2].decode("utf-8")
            else:
                self._answers[bytes.fromhex(fields[3].decode("ascii"))] = tuple(fields)

    def results(self, manifest: bytes) -> ProbeResults:
        """All of it; raises UnprovenError for answers that do not prove which bytes were compiled."""
        assert self._greeting is not None
        if self._greeting.checksum != "sha256":
            raise UnprovenError("the image's Python has no SHA-256, so which bytes it compiled is unknown")
        return ProbeResults(
            self._greeting,
            MappingProxyType(self._answers),
            MappingProxyType(self._changed),
            MappingProxyType(self._unread),
            manifest,
        )


def read_workspace(
    outputs: Sequence[bytes], artifact: Callable[[str], bytes]
) -> tuple[bytes, dict[bytes, bytes]] | None:
    """The rows of the workspace that a build of the cloud engine saw, and the files of it that were not what was sent.

    None where this was no such build. Raises UnprovenError where an artifact is not what the step wrote.
    """
    for output in outputs:
        try:
            words = json.loads(output or b"null")
        except ValueError:
            continue
        if not isinstance(words, dict) or words.get("engine") != "cloud":
            continue
        for name in words:
            if name.startswith("manifest-"):
                rows = _fetch_artifact(name, words, artifact)
                lists = _lists(_fetch_artifact(name.replace("manifest", "answers") + "-0", words, artifact))
                return rows, {fields[1]: fields[2] for fields in lists[1:] if fields[0] == b"C"}
    return None


def read_interpreters(outputs: Sequence[bytes], artifact: Callable[[str], bytes]) -> tuple[str, ...]:
    """The interpreters that buildguard's own steps of a build ran in, "CPython 3.11.7", each once.

    Raises UnprovenError where an artifact is not what the step wrote.
    """
    names = []
    for output in outputs:
        try:
            words = json.loads(output or b"null")
        except ValueError:
            continue
        if not isinstance(words, dict):
            continue
        if isinstance(words.get("interpreter"), str):
            names.append(words["interpreter"])
        for name in words if words.get("engine") == "cloud" else ():
            if name.startswith("answers-"):
                try:
                    greeting = greeting_from(_lists(_fetch_artifact(name, words, artifact))[0])
                except (ValueError, IndexError, TypeError) as error:
                    raise UnprovenError(f"the answers of the build cannot be read: {error}") from error
                names.append(f"{greeting.implementation} {greeting.version}")
    return tuple(dict.fromkeys(names))


def _silent(ends: Sequence[StepEnd]) -> UnprovenError:
    """A step wrote nothing: what its log ends with, and no guess."""
    what = "the build step printed no result"
    for end in ends:
        log = "; last lines of its log: " + " | ".join(end.log) if end.log else ""
        return UnprovenError(f"{what} (exit {end.code}){log}", hint=f"the whole log: {end.log_url}")
    return UnprovenError(what)


def _parse_output(output: bytes, share: str, ends: Sequence[StepEnd] = ()) -> dict[str, object]:
    if not output:
        raise _silent(ends)
    try:
        words = json.loads(output)
    except ValueError as error:
        raise UnprovenError("the result of the build step cannot be read") from error
    if not isinstance(words, dict) or words.get("engine") != "cloud" or words.get("share") != share:
        raise UnprovenError("the result of the build step is not one of buildguard's")
    if "wrong" in words:
        raise UnprovenError(f"the step could not ask: {words['wrong']}")
    return words


def _fetch_artifact(name: str, words: dict[str, object], artifact: Callable[[str], bytes]) -> bytes:
    data = artifact(name)
    if hashlib.sha256(data).hexdigest() != words.get(name):
        raise UnprovenError(
            f"{name} is not what the step wrote", hint="another process writes to this bucket: find out which"
        )
    return data


def _lists(data: bytes) -> list[list[bytes]]:
    lists, at = [], 0
    cut = UnprovenError("the answers of the build cannot be read: they are cut short")
    try:
        while (item := read_list(data, at)) is not None:
            lists.append(item[0])
            at = item[1]
    except ValueError as error:
        raise cut from error
    if at != len(data) or not lists:
        raise cut
    return lists
