"""What `fix` did: lines for people, and a patch that `git apply` takes."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterator

from buildguard.check.fix import FixedFile, FixReport
from buildguard.diagnostic import count, escape_text, unproven_line
from buildguard.fstrings.planner_process import SEPARATE


def patch(report: FixReport) -> bytes:
    """The changes of all files as git writes them, whether or not they were written."""
    return b"".join(_patch(file) for file in report.files if file.after)


def text(report: FixReport, *, done: str) -> str:
    """One line for each file, one for each f-string that is left, and a summary; `done` says what "fixed" comes to."""
    lines = [line for file in report.files for line in _file(file, done)]
    if any(left.span is not None for file in report.files for left in file.unfixed):
        lines.append(f"hint: fix the rest by hand: {SEPARATE}")
    lines += [f"note: {escape_text(note)}" for note in report.notes]
    lines += [f"unproven: {unproven_line(item)}" for item in report.unproven]
    return "\n".join([*lines, _summary(report, done), ""])


def _file(file: FixedFile, done: str) -> Iterator[str]:
    if file.fixed:
        places = ("line " if len(file.fixed) == 1 else "lines ") + ", ".join(str(where.line) for where in file.fixed)
        what = done if file.proven else "not proven, not written"
        yield f"{escape_text(file.path)}: {what}: {count(len(file.fixed), 'f-string')} ({places})"
    if file.note:
        yield f"{escape_text(file.path)}: note: {escape_text(file.note)}"
    for left in file.unfixed:
        place = f":{left.span.line}:{left.span.column}" if left.span is not None else ""
        yield f"{escape_text(file.path)}{place}: left: {escape_text(left.reason)}"


def _summary(report: FixReport, done: str) -> str:
    fixed = [file for file in report.files if file.fixed and file.proven]
    seconds = f"{report.seconds:.1f} s"
    left = sum(len(file.unfixed) for file in report.files)
    if not fixed and not left and not report.unproven:
        return f"nothing to fix in {count(report.looked_at, 'file')}, {seconds}"
    strings = count(sum(len(file.fixed) for file in fixed), "f-string")
    parts = [f"{done} {strings} in {count(len(fixed), 'file')}"]
    if left:
        parts.append(f"{left} left")
    if report.unproven:
        parts.append(f"{len(report.unproven)} unproven")
    how = f"; {', '.join(report.proofs)}" if fixed and report.proofs else ""
    return f"{', '.join(parts)}, {seconds}{how}"


def _patch(file: FixedFile) -> bytes:
    before, after = (_lines(data) for data in (file.before, file.after))
    hunks = difflib.diff_bytes(difflib.unified_diff, before, after, lineterm=b"\n")
    body = [line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in list(hunks)[2:]]
    old, new = (_quote_path(f"{side}/{file.path}") for side in "ab")
    return b"".join([b"diff --git %s %s\n--- %s\n+++ %s\n" % (old, new, old, new), *body])


def _lines(data: bytes) -> list[bytes]:
    """The lines of a file as git counts them: only LF ends one."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    return [*lines[:-1], lines[-1][:-1]] if lines[-1] != b"\n" else lines[:-1]


def _quote_path(path: str) -> bytes:
    """A path as git writes it in a patch: quoted where it holds what a line cannot."""
    data = path.encode("utf-8")
    if path.isascii() and path.isprintable() and not set(path) & {'"', "\\"}:
        return data
    plain = frozenset(string.ascii_letters + string.digits + string.punctuation + " ") - {'"', "\\"}
    return b'"%s"' % b"".join(bytes([byte]) if chr(byte) in plain else b"\\%03o" % byte for byte in data)
