"""Compiling in a step: in children that have limits, so that a source that kills one costs no other its verdict.

A part of the step file. `judge` and `limiter` are the probe's own.
"""

from __future__ import annotations

import gc
import hashlib
import os
import signal
import warnings
from typing import TYPE_CHECKING, NamedTuple

from buildguard.remote.probe import judge, limiter
from buildguard.remote.source_encoding import coding_of, hides_code, undecodable
from buildguard.remote.workspace import read_source

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Reader = Callable[[bytes, object], bytes]

_GIBI = 1 << 30
_LIMITS = (2 * _GIBI, 20)  # bytes of address space, and seconds of CPU time, which grow with the source
_WIDER = (6 * _GIBI, 40)
_MARK = b"\x1e"  # stands between the fields of an answer
_GIVES_UP = "the compiler gives up on this file: "


class StepFinding(NamedTuple):
    """What is wrong with a path; `line` and `column` count from 1, columns in code points, 0 if unknown."""

    code: str
    path: bytes
    line: int
    column: int
    message: str
    excerpt: str = ""


class SourceResult(NamedTuple):
    """What came of one source: the SHA-256 of the bytes that were compiled, findings, or why it is unproven.

    `facts` are what was read of its imports, as JSON.
    """

    path: bytes
    sha256: str
    findings: tuple[StepFinding, ...]
    unproven: str = ""
    facts: bytes = b""


def compile_all(paths: Sequence[bytes], cores: int, read: Reader | None = None) -> Iterator[SourceResult]:
    """Compile the sources of some paths, as many at once as there are cores; each path comes back once.

    `read` takes facts from what compiles.
    """
    shares = [share for share in (paths[at::cores] for at in range(cores)) if share]
    children = [_start(share, _LIMITS, read) for share in shares]
    for share, child in zip(shares, children):
        yield from _through(share, child, read)


def _through(share: Sequence[bytes], child: tuple[int, int], read: Reader | None) -> Iterator[SourceResult]:
    """A share to its end. What its child died of, or had no memory for, is tried once more, alone, with wider limits."""
    while True:
        answers, _status = _end_of(child)
        for path, fields in zip(share, answers):
            yield _second_try(path) if fields[:1] == [b"MemoryError"] else _source_result(path, fields)
        share = share[len(answers) :]
        if share:
            yield _second_try(share[0])
        share = share[1:]
        if not share:
            return
        child = _start(share, _LIMITS, read)


def _second_try(path: bytes) -> SourceResult:
    answers, status = _end_of(_start([path], _WIDER))
    if answers:
        fields = answers[0]
        if fields[:2] == [b"MemoryError", b"1"]:
            return SourceResult(path, "", (), f"compiling it takes more than {_WIDER[0] // _GIBI} GiB of memory")
        return _source_result(path, fields)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by in {signal.SIGXCPU, signal.SIGALRM}:
        return SourceResult(path, "", (), "compiling it takes too long")
    if ended_by in {0, signal.SIGKILL}:
        return SourceResult(path, "", (), "the process that compiled it was ended, from outside or for want of memory")
    words = f"{_GIVES_UP}the compiler died: it was ended by signal {ended_by}"
    return SourceResult(path, "", (StepFinding("BG103", path, 0, 0, words),))


def _source_result(path: bytes, fields: Sequence[bytes]) -> SourceResult:
    """An answer of `_answer`: exception, whether memory was short, digest or reason, facts, and five fields for each finding."""
    words = [field.decode("utf-8") for field in fields]
    if len(words) < 4 or len(words) % 5 != 4:
        return SourceResult(path, "", (), "the answer of its compiler cannot be read")
    if words[0] == "unreadable":
        return SourceResult(path, "", (), words[2])
    rows = (words[at : at + 5] for at in range(4, len(words), 5))
    findings = (StepFinding(code, path, int(line), int(column), said, text) for code, line, column, said, text in rows)
    return SourceResult(path, words[2], tuple(findings), facts=fields[3])


# ------------------------------------------------------------------------------------------ children


def _start(paths: Sequence[bytes], limits: tuple[int, int], read: Reader | None = None) -> tuple[int, int]:
    """A child that answers for some paths in their order: its process id, and where its answers come from."""
    incoming, outgoing = os.pipe()
    process = os.fork()
    if process:
        os.close(outgoing)
        return process, incoming
    try:
        os.close(incoming)
        _serve(paths, outgoing, limits, read)
    finally:
        os._exit(0)


def _end_of(child: tuple[int, int]) -> tuple[list[list[bytes]], int]:
    """All whole answers of a child, and the status that it ended with."""
    process, incoming = child
    with os.fdopen(incoming, "rb") as answers:
        data = answers.read()
    status = os.waitpid(process, 0)[1]
    lists: list[list[bytes]] = []
    at = 0
    while True:
        start = data.find(b"\n", at) + 1
        end = start + int(data[at : start - 1]) if start else len(data) + 1
        if end > len(data):
            return lists, status
        lists.append(data[start:end].split(_MARK))
        at = end


def _serve(paths: Sequence[bytes], outgoing: int, limits: tuple[int, int], read: Reader | None) -> None:
    memory, seconds = limits
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    warnings.simplefilter("ignore")
    grant = limiter(memory)
    gc.disable()  # compile makes no cycles
    with os.fdopen(outgoing, "wb") as out:
        for path in paths:
            answered = _answer(path, grant, (memory, seconds), read)
            fields = [str(field).encode("utf-8", "backslashreplace") for field in answered]
            answer = _MARK.join(field.replace(_MARK, b"?") for field in fields)
            out.write(b"%d\n%b" % (len(answer), answer))
            out.flush()


def _answer(path: bytes, grant: object, limits: tuple[int, int], read: Reader | None) -> list[object]:
    data = read_source(path)
    if isinstance(data, str):
        return ["unreadable", 0, data, ""]
    memory, seconds = limits
    seconds += 10 * (len(data) >> 20)
    if callable(grant):
        grant(seconds)
    else:
        signal.alarm(seconds)
    kind, message, phase, line, column, _, _, short, facts = judge(data, [], memory, read)[:9]
    findings = _find_misread(path, data)
    if kind:
        findings.insert(0, _refusal_finding(path, data, f"{kind}: {message}".rstrip(": "), line or 0, column or 0))
        if phase == "compiler":
            findings[0] = _in_code_points(findings[0])
    fields: list[object] = [kind, short, hashlib.sha256(data).hexdigest(), facts.decode("ascii")]
    for finding in findings:
        fields += [finding.code, finding.line, finding.column, finding.message, finding.excerpt]
    return fields


# ------------------------------------------------------------------------------------------ findings


def _refusal_finding(path: bytes, data: bytes, words: str, line: int, column: int) -> StepFinding:
    gives_up = words.startswith(("MemoryError", "RecursionError", "SystemError"))
    return StepFinding(
        "BG103" if gives_up else "BG101",
        path,
        line,
        column,
        _GIVES_UP + words if gives_up else words,
        _line_of(data, line),
    )


def _in_code_points(finding: StepFinding) -> StepFinding:
    """Parsers count code points, later passes count bytes of UTF-8."""
    before = finding.excerpt.encode("utf-8")[: max(0, finding.column - 1)].decode("utf-8", "ignore")
    return finding._replace(column=len(before) + 1) if finding.column else finding


def _find_misread(path: bytes, data: bytes) -> list[StepFinding]:
    """What compilers let pass: bytes in a comment that do not decode, and cookies that hide code."""
    coding = coding_of(data)
    if coding.is_utf8:
        at = undecodable(data)
        if at is None:
            return []
        before = data[:at].decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return [StepFinding("BG102", path, line, column, f"byte 0x{data[at]:02x} is not UTF-8", _line_of(data, line))]
    name = coding.codec
    try:
        data.decode(name)
    except Exception:
        return []
    if coding.has_bom or not hides_code(name):
        return []
    words = f"the coding cookie {name} turns what reads as a comment or text into other code"
    return [StepFinding("BG106", path, coding.line, 1, words, _line_of(data, coding.line))]


def _line_of(data: bytes, number: int) -> str:
    lines = data.split(b"\n", number)[:number]
    return lines[-1][:400].decode("utf-8", "replace").rstrip("\r").lstrip("\ufeff") if 0 < number == len(lines) else ""
