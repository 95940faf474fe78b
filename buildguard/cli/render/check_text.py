"""The result for people: grouped by file, the source line with the range underlined, one summary line."""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

import click

from buildguard.check.result import CheckReport, ImageReport, TargetRow
from buildguard.diagnostic import Diagnostic, Severity, Unproven, count, escape_text, shorten_digests, unproven_line
from buildguard.stages.snapshot import StageKind

if TYPE_CHECKING:
    from buildguard.compare.chain import Chain

_WIDTH = 100
_NOTES = 10
_FEW = 5
_INDENT = " " * 6


def render(report: CheckReport, *, colour: bool, most: int | None, width: int = 0) -> str:
    """The whole text; at most `most` lines of findings, hints folded at `width` columns."""
    blocks = list(_blocks(report, width))
    kept, left = _fit_blocks(blocks, most)
    lines = [line for block in kept for line in block]
    if left:
        lines += [f"… and {count(left, 'more')}; --all shows them", ""]
    notes = report.notes if most is None else report.notes[:_NOTES]
    lines += [f"note: {escape_text(note)}" for note in notes]
    if len(notes) < len(report.notes):
        lines.append(f"… and {len(report.notes) - len(notes)} more notes; --all shows them")
    lines += list(_unproven(report, most))
    lines += [_target(row) for row in report.targets]
    lines += _chain(report, report.chain) if report.chain is not None else []
    lines += _image(report.image, most) if report.image is not None else []
    lines += _moving_target(report)
    lines.append(_colour(summary(report), report))
    text = "\n".join(lines) + "\n"
    return text if colour else click.unstyle(text)


def summary(report: CheckReport) -> str:
    """The last line: what it comes to."""
    files = count(report.files, "file")
    seconds = f"{report.seconds:.1f} s"
    if report.exit_code == 0 and not report.diagnostics:
        if not report.files:
            return "clean: no Python source is staged"
        how = {row.proof for row in report.targets}
        return f"clean: {files} {'predicted' if how == {'predicted'} else 'compiled'}, {seconds}"
    parts = [count(report.errors, "error"), count(report.warnings, "warning")]
    parts = [part for part in parts if not part.startswith("0 ")]
    if report.unproven:
        parts.append(f"{len(report.unproven)} unproven")
    return f"{', '.join(parts)} in {files}, {seconds}"


def _colour(line: str, report: CheckReport) -> str:
    return click.style(line, bold=True, fg={0: "green", 1: "red"}.get(report.exit_code, "yellow"))


def _fit_blocks(blocks: list[list[str]], most: int | None) -> tuple[list[list[str]], int]:
    """The first blocks that fit on a screen (one at least), and how many findings are left out."""
    if most is None:
        return blocks, 0
    kept: list[list[str]] = []
    for block in blocks:
        if kept and sum(map(len, kept)) + len(block) > most:
            break
        kept.append(block)
    return kept, sum(1 for block in blocks[len(kept) :] for line in block if line.startswith("  ") and line[2] != " ")


def _blocks(report: CheckReport, width: int) -> Iterator[list[str]]:
    hinted: set[str] = set()
    groups = [list(group) for _path, group in groupby(report.diagnostics, key=lambda diagnostic: diagnostic.path)]
    for group in sorted(
        groups, key=lambda diagnostics: all(diagnostic.severity is Severity.WARNING for diagnostic in diagnostics)
    ):
        path = group[0].path
        lines = [click.style(escape_text(path), bold=True)] if path is not None else []
        for diagnostic in group:
            lines += _finding(diagnostic, hinted, width)
        yield [*lines, ""]


def _finding(diagnostic: Diagnostic, hinted: set[str], width: int) -> Iterator[str]:
    place = ":".join(str(number) for number in diagnostic.range[:2] if number is not None)
    colour = "red" if diagnostic.severity is Severity.ERROR else "yellow"
    code = click.style(f"{diagnostic.code} {diagnostic.severity}", fg=colour)
    # BG4xx speak of Pythons in their own words
    target = (
        f" (Python {', '.join(diagnostic.shared)})"
        if diagnostic.target and not diagnostic.code.startswith("BG4")
        else ""
    )
    yield f"  {place + '  ' if place else ''}{code}: {escape_text(diagnostic.message)}{target}"
    yield from _excerpt(diagnostic)
    if diagnostic.evidence:
        yield f"{_INDENT}{escape_text(evidence(diagnostic))}"
    if diagnostic.hint and diagnostic.hint not in hinted:
        hinted.add(diagnostic.hint)
        hint = f"hint: {escape_text(diagnostic.hint)}"
        room = width - len(_INDENT)
        fold = room > len(_INDENT)
        lines = textwrap.wrap(hint, room, break_long_words=False, break_on_hyphens=False) if fold else [hint]
        yield from (_INDENT + line for line in lines)


def evidence(diagnostic: Diagnostic) -> str:
    """What the target's compiler says of the same place, in its own words."""
    return f"Python {diagnostic.target} says: {diagnostic.evidence}" if diagnostic.evidence else ""


def _excerpt(diagnostic: Diagnostic) -> Iterator[str]:
    line = diagnostic.excerpt
    if not line.strip():
        return
    start = (diagnostic.range.column or 1) - 1
    end = start + 1
    if diagnostic.range.end_line == diagnostic.range.line and diagnostic.range.end_column:
        end = max(end, diagnostic.range.end_column - 1)
    elif diagnostic.range.end_line is not None:
        end = len(line)
    cut = max(0, start - _WIDTH + 20)
    text = shown_line(line[cut : cut + _WIDTH])
    yield f"{_INDENT}{'…' if cut else ''}{text}".rstrip()
    if diagnostic.range.column is None:
        return
    before = _columns(shown_line(line[cut:start])) + bool(cut)
    length = max(1, _columns(shown_line(line[start : min(end, cut + _WIDTH)])))
    yield f"{_INDENT}{' ' * before}{click.style('^' * length, fg='red')}"


def shown_line(line: str) -> str:
    """A source line on a terminal: tabs as one blank, what is not printable escaped."""
    return escape_text(line.replace("\t", " "))


def _columns(text: str) -> int:
    """How many columns a terminal gives a text: two for wide letters, none for combining marks."""
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.combining(char) != 0 for char in text)


def _unproven(report: CheckReport, most: int | None) -> Iterator[str]:
    groups: dict[tuple[object, ...], list[Unproven]] = {}
    for item in report.unproven:
        # a lost engine says the same of every file that it had not judged
        groups.setdefault((item.reason, item.target) if most is not None else (item,), []).append(item)
    lines = [line for group in groups.values() for line in _group_lines(group)]
    shown_ones = lines if most is None else lines[: max(1, most // 2)]
    yield from (f"{click.style('unproven', fg='yellow')}: {line}" for line in shown_ones)
    if len(shown_ones) < len(lines):
        yield f"… and {len(lines) - len(shown_ones)} more unproven; --all shows them"


def _group_lines(group: list[Unproven]) -> list[str]:
    """What is unproven for one reason: a line for each file, or one for many."""
    if len(group) <= _FEW:
        return [unproven_line(item) for item in group]
    names = ", ".join(escape_text(item.path or "") for item in group[:_FEW])
    return [f"{unproven_line(group[0]._replace(path=f'{len(group)} files'))}: {names} …; --all shows them"]


def _target(row: TargetRow) -> str:
    how = {
        "compiled": f"compiled by {row.interpreter}{f' in {row.image}' if row.image_id or row.image_digest else ''}",
        "image": f"compiled by {row.interpreter} in {row.image}",
        "predicted": f"predicted by {row.interpreter}, not compiled",
    }.get(row.proof, "not compiled")
    cached = f", {row.cached} unchanged" if row.cached else ""
    return f"Python {row.python} ({escape_text(row.found_in)}): {count(row.files, 'file')}{cached}, {how}"


def _chain(report: CheckReport, chain: Chain) -> list[str]:
    """Where the bytes went before they were compiled, and whether they are the same there."""
    from buildguard.cli.render.diff import verdict

    stages = " → ".join(escape_text(shorten_digests(snapshot.stage)) for snapshot in chain.snapshots)
    words = ""
    if chain.snapshots[-1].kind is not StageKind.WORKSPACE:
        words = "; what lay in the build was not seen"
    elif report.rejected_files and all(hop.identical for hop in chain.hops):
        words = ": what is refused is the code as it was written, and not damage on its way"
    return [f"bytes: {stages}", f"bytes: {escape_text(shorten_digests(verdict(chain)))}{words}"]


def _image(image: ImageReport, most: int | None) -> list[str]:
    """What `check image:` adds: where the project lies, what is not the project's, and what was installed beside it."""
    few = None if most is None else _FEW
    installed = image.dependencies
    lines = [
        f"{escape_text(image.reference)} ({image.id[:19]}): the project lies in {', '.join(map(escape_text, image.roots))}, by {escape_text(image.told_by)}"
    ]
    if image.generated:
        lines.append(f"not in the project: {_listed(image.generated, few)}")
    if image.changed:
        lines.append(f"other bytes than here: {_listed(image.changed, few)}")
    if installed.files:
        refused, unseen = len(installed.rejected), len(installed.unproven)
        parts = [f"{refused} refused"] * bool(refused) + [f"{unseen} not looked at"] * bool(unseen)
        verdict = ", ".join(parts) or "all compile"
        folders = ", ".join(map(escape_text, installed.folders)) or "the project's folder"
        lines.append(f"dependencies: {count(installed.files, 'file')} in {folders}, {verdict}")
    lines += [
        f"  {escape_text(diagnostic.path or '')}:{diagnostic.range.line or ''} {diagnostic.code}: {escape_text(diagnostic.message)}"
        for diagnostic in installed.rejected[:few]
    ]
    lines += [f"  {unproven_line(item)}" for item in installed.unproven[:few]]
    more = len(installed.rejected[_FEW:]) + len(installed.unproven[_FEW:])
    return lines + [f"  … and {more} more; --all shows them"] * bool(more and few)


def _listed(paths: tuple[str, ...], most: int | None) -> str:
    names = ", ".join(map(escape_text, paths[:most]))
    more = len(paths) - len(paths[:most])
    return f"{count(len(paths), 'file')} ({names}{f' … and {more} more' if more else ''})"


def _moving_target(report: CheckReport) -> list[str]:
    number = len(report.rejected_files)
    if number < 2:  # noqa: PLR2004  one file is no series
        return []
    return [
        f"an import stops at the first bad file: deployed as they are, these {number} files fail {number} deploys in a row"
    ]
