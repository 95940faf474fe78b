"""What `fix` did: lines for people, and a patch that `git apply` takes."""

from __future__ import annotations

import difflib
import string
from collections.abc import Iterator

from buildguard.check.fix import FixReport, Mended
from buildguard.diagnostic import count, of_unproven, shown
from buildguard.fstrings.planner_process import SEPARATE


def patch(report: FixReport) -> bytes:
    """The changes of all files as git writes them, whether or not they were written."""
    return b"".join(_patch(one) for one in report.files if one.after)


def text(report: FixReport, *, done: str) -> str:
    """One line for each file, one for each f-string that is left, and a summary; `done` says what "fixed" comes to."""
    lines = [line for one in report.files for line in _file(one, done)]
    if any(left.where is not None for one in report.files for left in one.left):
        lines.append(f"hint: what is left is for a person: {SEPARATE}")
    lines += [f"note: {shown(note)}" for note in report.notes]
    lines += [f"unproven: {of_unproven(one)}" for one in report.unproven]
    return "\n".join([*lines, _summary(report, done), ""])


def _file(one: Mended, done: str) -> Iterator[str]:
    if one.fixed:
        places = ("line " if len(one.fixed) == 1 else "lines ") + ", ".join(str(where.line) for where in one.fixed)
        what = done if one.proven else "not proven, not written"
        yield f"{shown(one.path)}: {what}: {count(len(one.fixed), 'f-string')} ({places})"
    for left in one.left:
        place = f":{left.where.line}:{left.where.column}" if left.where is not None else ""
        yield f"{shown(one.path)}{place}: left: {shown(left.reason)}"


def _summary(report: FixReport, done: str) -> str:
    fixed = [one for one in report.files if one.fixed and one.proven]
    seconds = f"{report.seconds:.1f} s"
    left = sum(len(one.left) for one in report.files)
    if not fixed and not left and not report.unproven:
        return f"nothing to fix in {count(report.looked_at, 'file')}, {seconds}"
    strings = count(sum(len(one.fixed) for one in fixed), "f-string")
    parts = [f"{done} {strings} in {count(len(fixed), 'file')}"]
    if left:
        parts.append(f"{left} left")
    if report.unproven:
        parts.append(f"{len(report.unproven)} unproven")
    how = f"; {', '.join(report.proofs)}" if fixed and report.proofs else ""
    return f"{', '.join(parts)}, {seconds}{how}"


def _patch(one: Mended) -> bytes:
    before, after = (_lines(data) for data in (one.before, one.after))
    hunks = difflib.diff_bytes(difflib.unified_diff, before, after, lineterm=b"\n")
    body = [line if line.endswith(b"\n") else line + b"\n\\ No newline at end of file\n" for line in list(hunks)[2:]]
    old, new = (_quoted(f"{side}/{one.path}") for side in "ab")
    return b"".join([b"diff --git %s %s\n--- %s\n+++ %s\n" % (old, new, old, new), *body])


def _lines(data: bytes) -> list[bytes]:
    """The lines of a file as git counts them: only LF ends one."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    return [*lines[:-1], lines[-1][:-1]] if lines[-1] != b"\n" else lines[:-1]


def _quoted(path: str) -> bytes:
    """A path as git writes it in a patch: quoted where it holds what a line cannot."""
    data = path.encode("utf-8")
    if path.isascii() and path.isprintable() and not set(path) & {'"', "\\"}:
        return data
    plain = frozenset(string.ascii_letters + string.digits + string.punctuation + " ") - {'"', "\\"}
    return b'"%s"' % b"".join(bytes([byte]) if chr(byte) in plain else b"\\%03o" % byte for byte in data)
