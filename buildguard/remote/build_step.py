"""The step itself: what is proven of a workspace, in words for the log and as JSON for `$BUILDER_OUTPUT`.

The last part of the step file; what it is called with stands in the head of that file.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, NamedTuple

from buildguard.remote.compile_all import SourceResult, StepFinding, compile_all
from buildguard.remote.manifest_rows import CARRIED, EXECUTABLE, FILE, OWN, ManifestRow, as_bytes, rows_of
from buildguard.remote.source_names import SUFFIXES, matches_any
from buildguard.remote.workspace import (
    WorkspaceDifference,
    compare_rows,
    read_file,
    read_source,
    row_of_file,
    scan_workspace,
    sources_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import ModuleType as ImportModule

    from buildguard.remote.workspace import Workspace


_VARIABLE = "BUILDGUARD_DIGEST"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_OUTPUT = 50_000  # Cloud Build keeps the first 50 KB
_MOST_LINES = 200
_NOT_COMPILED = "the start command runs it with Python, and it was not compiled: only .py files and #! scripts are"


class StepSettings(NamedTuple):
    """What `init` wrote down: the version of buildguard, and the patterns of sources with their regular expressions.

    `load` loads what judges imports.
    """

    version: str
    include: Sequence[tuple[str, str]]
    exclude: Sequence[tuple[str, str]]
    load: Callable[[], ImportModule]


class BytesProof(NamedTuple):
    """Whether the workspace is what was sent: the root digest of what is here, entries, differences, and what is unproven.

    `contents` are the SHA-256 of the files that were compared, `wrong` says why nothing could be.
    """

    digest: str = ""
    entries: int = 0
    differences: tuple[WorkspaceDifference, ...] = ()
    unproven: tuple[tuple[bytes, str], ...] = ()
    wrong: str = ""
    contents: Mapping[bytes, str] = {}


class StepReport(NamedTuple):
    """Everything that the step saw, and the version of buildguard that looked; `imports` are words about those."""

    version: str
    files: int
    findings: Sequence[StepFinding]
    unproven: Sequence[tuple[bytes, str]]
    bytes: BytesProof | None
    imports: str = ""

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0: as `buildguard check` has it."""
        wrong = self.bytes is not None and (self.bytes.differences or self.bytes.wrong)
        if self.findings or wrong:
            return 1
        return 3 if self.unproven or (self.bytes is not None and self.bytes.unproven) else 0


def main(folders: Sequence[str], settings: StepSettings) -> int:
    """Look at the workspace, report, and return the exit status.

    `folders` are those whose sources are compiled, and words that begin with two dashes describe the program.
    """
    words = [word for word in folders if word.startswith("--")]
    folders = [word for word in folders if not word.startswith("--")]
    importing = ImportStep(settings, words)
    workspace = scan_workspace()
    wanted = os.environ.get(_VARIABLE)
    proof = _prove_bytes(workspace, wanted) if wanted is not None else None
    proven = proof.contents if proof is not None else {}
    sources = sources_of(workspace, folders, settings.include, settings.exclude)
    findings: list[StepFinding] = []
    unproven = [(path, "a folder that cannot be opened") for path in workspace.closed]
    if not sources:
        unproven.append((b" ".join(map(os.fsencode, folders)) or b".", "no Python source here"))
    unproven += [(path, _NOT_COMPILED) for path in _started(words, workspace, settings) if path not in sources]
    for result in compile_all(sources, _cores(), importing.reader):
        findings += result.findings
        importing.note(result)
        if result.unproven:
            unproven.append((result.path, result.unproven))
        elif proven.get(result.path, result.sha256) != result.sha256:
            unproven.append((result.path, "changed between the comparison and the compiler"))
    findings += importing.findings(workspace)
    seen = StepReport(settings.version, len(sources), sorted(findings), sorted(unproven), proof, importing.words)
    sys.stdout.buffer.write(("\n".join(_lines(seen, workspace)) + "\n").encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()
    _report(seen)
    return seen.exit_code


def _started(words: Sequence[str], workspace: Workspace, settings: StepSettings) -> Iterator[bytes]:
    """The files that the start command runs, where neither a suffix nor a pattern decides whether they are sources."""
    for word in words:
        path = word.partition("=")[2].partition("=")[2] if word.startswith("--start=") else ""
        name = os.fsencode(path)
        if name in workspace.modes and not name.endswith(SUFFIXES) and not matches_any(settings.exclude, path):
            yield name


class ImportStep:
    """The imports of what is compiled: read beside the compiler, and judged after it."""

    def __init__(self, settings: StepSettings, words: Sequence[str]) -> None:
        self.words = ""
        self._words = words
        self._facts: dict[str, bytes] = {}
        self._unread = 0
        self._module: ImportModule | None = None
        try:
            self._module = settings.load()
        except ImportError as error:  # a minimal Python
            self.words = f"imports: not examined: {error}"

    @property
    def reader(self) -> Callable[[bytes, object], bytes] | None:
        """What reads the facts of a source; None where this Python lacks a module for it."""
        return None if self._module is None else sys.modules["buildguard.remote.import_facts"].facts_here

    def note(self, result: SourceResult) -> None:
        """Keep the facts of a source that compiles; count those that have none."""
        if result.facts:
            self._facts[os.fsdecode(result.path)] = result.facts
        else:
            self._unread += 1

    def findings(self, workspace: Workspace) -> list[StepFinding]:
        """The imports that fail where the program runs them."""
        if self._module is None:
            return []
        paths = {os.fsdecode(path): path for path, mode in workspace.modes.items() if not stat.S_ISDIR(mode)}

        def read(path: str) -> bytes | None:
            data = read_source(paths[path]) if path in paths else ""
            return data if isinstance(data, bytes) else None

        subject = self._module.BuildSources(sorted(paths), self._facts, read)
        try:
            rows, undecided = self._module.judge_build(subject, self._words)
        except (ValueError, RecursionError, OSError) as error:
            self.words = f"imports: not examined: {error}"
            return []
        # a build that passes must not print what looks like an error
        result = f"{len(rows)} fail" if rows else "resolved"
        unread = f", not read in {self._unread} of the files" if self._unread else ""
        self.words = f"imports: {result}, {undecided} undecided{unread}"
        return [_import_finding(paths[row.path], row) for row in rows]


def _import_finding(path: bytes, row: ImportModule) -> StepFinding:
    data = read_source(path)
    lines = re.split(rb"\r\n|\r|\n", data) if isinstance(data, bytes) else []
    excerpt = lines[row.line - 1].decode("utf-8", "replace") if 0 < row.line <= len(lines) else ""
    return StepFinding(row.code, path, row.line, row.column, row.message, excerpt)


def _prove_bytes(workspace: Workspace, wanted: str) -> BytesProof:
    """Compare the workspace with the manifest that came with it, once that is the one that was sent."""
    expected = _carried_rows(wanted)
    if isinstance(expected, str):
        return BytesProof(wrong=expected)
    rows, unproven = _rows_of(workspace)
    unread = {path for path, _why in unproven}
    differences = compare_rows([row for row in expected if row.path not in unread], rows)
    return BytesProof(
        "sha256:" + hashlib.sha256(as_bytes(rows)).hexdigest(),
        len(expected),
        tuple(differences),
        tuple(unproven),
        contents={row.path: row.sha256 for row in rows if row.mode in {FILE, EXECUTABLE}},
    )


def _carried_rows(wanted: str) -> list[ManifestRow] | str:
    """The manifest that came with the source, if its digest is the one that was sent; or what is wrong with it."""
    if _DIGEST.fullmatch(wanted) is None:
        return f"{_VARIABLE} is no digest: {wanted}"
    data = read_file(CARRIED)
    if isinstance(data, str):
        return f"{CARRIED.decode()}: {data}: this archive was not made by buildguard"
    if "sha256:" + hashlib.sha256(data).hexdigest() != wanted:
        return f"{CARRIED.decode()} is not the manifest of {wanted}"
    try:
        return list(rows_of(data))
    except ValueError as error:
        return f"{CARRIED.decode()}: {error}"


def _rows_of(workspace: Workspace) -> tuple[list[ManifestRow], list[tuple[bytes, str]]]:
    """The rows of the workspace, and the paths that cannot be read with the reason."""
    rows: list[ManifestRow] = []
    unproven: list[tuple[bytes, str]] = []
    for path, mode in sorted(workspace.modes.items()):
        if path in OWN or not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
            continue
        row = ManifestRow(path, "", 0, "") if stat.S_ISDIR(mode) else row_of_file(path, mode)
        if isinstance(row, str):
            unproven.append((path, row))
        else:
            rows.append(row)
    return rows, unproven


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


# ------------------------------------------------------------------------------------------ in words


def _lines(seen: StepReport, workspace: Workspace) -> Iterator[str]:
    yield f"buildguard {seen.version}, {_interpreter()}"
    rows = [*_found(seen.findings), *_differing(seen.bytes)]
    yield from rows[:_MOST_LINES]
    if len(rows) > _MOST_LINES:
        yield f"... and {len(rows) - _MOST_LINES} lines more"
    for path, why in [*seen.unproven, *(seen.bytes.unproven if seen.bytes is not None else ())][:_MOST_LINES]:
        yield f"unproven: {_display_path(path)}: {why}"
    for path in workspace.left_out:
        yield f"note: {_display_path(path)}: installed packages, not compiled"
    yield _of_bytes(seen.bytes)
    if seen.imports:
        yield _escape_text(seen.imports)
    yield _of_sources(seen)
    if seen.findings:
        yield "hint: where it was written: buildguard fix, buildguard check; then commit, and build again"


def _found(findings: Sequence[StepFinding]) -> Iterator[str]:
    before = b""
    for finding in findings:
        if finding.path != before:
            before = finding.path
            yield _display_path(finding.path)
        place = ":".join(str(number) for number in (finding.line, finding.column) if number)
        yield f"  {place + '  ' if place else ''}{finding.code} error: {_escape_text(finding.message)}"
        text = finding.excerpt.replace("\t", " ")
        if text.strip():
            at = max(0, finding.column - 60)
            yield "      " + _escape_text(text[at : at + 100])
            if finding.column and text.isascii():
                yield "      " + " " * (finding.column - 1 - at) + "^"


def _differing(proof: BytesProof | None) -> Iterator[str]:
    if proof is None:
        return
    if proof.wrong:
        yield "error: " + _escape_text(proof.wrong)
    for difference in proof.differences:
        yield f"{_display_path(difference.path)}  {difference.code} {difference.change}: {difference.cause} ({_escape_text(difference.evidence)})"


def _of_bytes(proof: BytesProof | None) -> str:
    if proof is None:
        return f"bytes: not compared: buildguard did not submit this build, so there is no {_VARIABLE} to compare with"
    if proof.wrong:
        return "bytes: not what was sent"
    if proof.differences:
        return f"bytes: {len(proof.differences)} of {proof.entries} paths are not what was sent"
    if proof.unproven:
        return f"bytes: unproven: {len(proof.unproven)} files could not be read"
    return f"bytes: identical: all {proof.entries} entries are those of {proof.digest}"


def _of_sources(seen: StepReport) -> str:
    refused = len({finding.path for finding in seen.findings if not finding.code.startswith("BG6")})
    failing = len({finding.path for finding in seen.findings if finding.code.startswith("BG6")})
    python = "Python " + ".".join(map(str, sys.version_info[:3]))
    if refused:
        words = f"{python} refuses {refused} of {seen.files} files"
        more = ": an import stops at the first one that it reaches, so a deploy shows one at a time"
        return words + more if refused > 1 else words
    if failing:
        return f"{python} compiles all {seen.files} files; imports of {failing} fail there"
    if not seen.files:
        return f"unproven: {python} found no file to compile"
    if seen.unproven:
        return f"unproven: {len(seen.unproven)} of {seen.files} files could not be compiled under {python}"
    if seen.exit_code:
        return f"{python} compiles all {seen.files} files"
    return f"clean: {python} compiles all {seen.files} files"


def _interpreter() -> str:
    name = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)
    release = "" if sys.version_info[3] == "final" else f"{sys.version_info[3]}{sys.version_info[4]}"
    return f"{name} {'.'.join(map(str, sys.version_info[:3]))}{release}"


def _display_path(path: bytes) -> str:
    return _escape_text(path.decode("utf-8", "backslashreplace"))


def _escape_text(text: str) -> str:
    """Foreign text that a terminal shows and does not obey."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode("ascii") for char in text
    )


# ------------------------------------------------------------------------------------------ for programs


def _report(seen: StepReport) -> None:
    """Write the machine's form to `$BUILDER_OUTPUT/output`, less what does not fit there; a build may do without it."""
    folder = os.environ.get("BUILDER_OUTPUT")
    if not folder:
        return
    rows = _rows(seen)
    kept = len(rows)
    while True:
        text = _json(_answer_of(seen, rows[:kept], len(rows) - kept)).encode("ascii")
        if len(text) <= _MOST_OUTPUT or not kept:
            break
        kept = kept * 3 // 4
    try:
        with open(os.path.join(folder, "output"), "wb") as out:
            out.write(text)
    except OSError as error:
        sys.stderr.write(f"buildguard: {error.filename} cannot be written: {error.strerror}\n")


def _rows(seen: StepReport) -> list[tuple[str, dict[str, object]]]:
    """Every row of the answer, with the key that it belongs to."""
    rows: list[tuple[str, dict[str, object]]] = []
    proof = seen.bytes or BytesProof()
    for difference in proof.differences:
        path = difference.path.decode("utf-8", "backslashreplace")
        rows.append(
            (
                "differences",
                {
                    "code": difference.code,
                    "path": path,
                    "change": difference.change,
                    "cause": difference.cause,
                    "evidence": difference.evidence,
                },
            )
        )
    for finding in seen.findings:
        path = finding.path.decode("utf-8", "backslashreplace")
        place: dict[str, object] = {"line": finding.line or None, "column": finding.column or None}
        rows.append(("diagnostics", {"code": finding.code, "path": path, **place, "message": finding.message}))
    for bare, why in [*seen.unproven, *proof.unproven]:
        rows.append(("unproven", {"path": bare.decode("utf-8", "backslashreplace"), "reason": why}))
    return rows


def _answer_of(seen: StepReport, rows: Sequence[tuple[str, dict[str, object]]], left_out: int) -> dict[str, object]:
    proof = seen.bytes
    proven = proof is not None and not (proof.wrong or proof.unproven)
    return {
        "schema": 1,
        "buildguard": seen.version,
        "interpreter": _interpreter(),
        "digest": (proof.digest or None) if proof is not None else None,
        "identical": not proof.differences if proof is not None and proven else None,
        "wrong": (proof.wrong or None) if proof is not None else None,
        "files": seen.files,
        **{key: [row for name, row in rows if name == key] for key in ("differences", "diagnostics", "unproven")},
        "left_out": left_out,
        "exit_code": seen.exit_code,
    }


def _json(value: object) -> str:
    """JSON in ASCII: a minimal Python comes without the module of that name."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_json(key)}: {_json(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    units = str(value).encode("utf-16-be", "surrogatepass")
    codes = [units[at] << 8 | units[at + 1] for at in range(0, len(units), 2)]
    plain = range(32, 127)
    return (
        '"' + "".join(chr(unit) if unit in plain and unit not in {34, 92} else f"\\u{unit:04x}" for unit in codes) + '"'
    )
