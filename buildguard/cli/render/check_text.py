"""The result for people: grouped by file, the source line with the range underlined, one summary line."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from buildguard.check.result import CheckReport, ImageReport, TargetRow
from buildguard.cli.render.layout import Detail, TextLayout
from buildguard.cli.render.source_line import excerpt, fold
from buildguard.cli.render.styling import style, unstyle
from buildguard.codes import CODES
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.diagnostic import Diagnostic, Severity, Unproven, count, escape_text, shorten_digests, unproven_line

if TYPE_CHECKING:
    from buildguard.compare.chain import Chain
    from buildguard.project.snippets.unchecked import UncheckedKind, UncheckedPython

_SERIES = 2  # rejected files: one is no series
_NOTES = 10
_FEW = 5
_FEWEST_LINES = 6  # of findings, on however small a screen
_INDENT = " " * 6


class _Block(NamedTuple):
    """The findings of one file: its heading (none for the whole project), a line for the overview, and the details."""

    heading: tuple[str, ...]
    overview: str
    details: tuple[tuple[str, ...], ...]


def render(report: CheckReport, layout: TextLayout) -> str:
    """The whole text: everything, or on a terminal a line for each file and as many details as fit."""
    ending = _ending(report, layout)
    findings: Iterable[str] = _matrix(report, layout)
    if not findings and layout.statistics:
        findings = _folded(statistics(report), layout)
    elif not findings:
        findings = _findings(report, layout, len(ending))
    lines = [*findings, *ending]
    text = "\n".join([*lines, ""]) if lines else ""
    return text if layout.color else unstyle(text)


def _matrix(report: CheckReport, layout: TextLayout) -> list[str]:
    """The rehearsal in place of the findings, where one was asked for."""
    if report.rehearsal is None:
        return []
    from buildguard.cli.render.rehearsal import matrix

    return matrix(report.rehearsal, layout.width)


def _findings(report: CheckReport, layout: TextLayout, others: int) -> list[str]:
    blocks = list(_blocks(report, layout))
    whole = [line for block in blocks for line in _block_lines(block)]
    if layout.lines is None:
        return whole
    room = max(_FEWEST_LINES, layout.lines - others - 1)
    if len(whole) <= room:
        return whole
    lines = _folded([block.overview for block in blocks], layout)
    shown, details = _fit_details(blocks, room - len(lines) - 3)
    total = len(report.diagnostics)
    more = f"… and {count(total - shown, 'more')}; --all shows them, --format concise in one line each"
    return [*lines, "", *details, *([*_folded([more], layout), ""] if shown < total else [])]


def _fit_details(blocks: list[_Block], room: int) -> tuple[int, list[str]]:
    """How many findings fit on the screen in full (one at least), and their lines."""
    lines: list[str] = []
    shown = 0
    for block in blocks:
        heading = block.heading
        for detail in block.details:
            if shown and len(lines) + len(heading) + len(detail) > room:
                return shown, lines
            lines += [*heading, *detail]
            heading = ()
            shown += 1
        lines.append("")
    return shown, lines


def _block_lines(block: _Block) -> list[str]:
    return [*block.heading, *(line for detail in block.details for line in detail), ""]


def _ending(report: CheckReport, layout: TextLayout) -> list[str]:
    """What follows the findings: notes, everything unproven, the targets and the summary."""
    most = layout.lines
    unproven = list(_unproven(report, layout))
    if layout.detail is Detail.QUIET:
        return _folded(unproven, layout)
    lines = [
        *_notes(report, most),
        *_not_checked(report, layout),
        *(_undecided(report) if layout.detail is Detail.VERBOSE else ()),
        *unproven,
        *map(target_line, report.targets),
        *(_chain(report, report.chain) if report.chain is not None else []),
        *(image_lines(report.image, most) if report.image is not None else []),
        *moving_target(report),
        _color(summary(report), report),
    ]
    return _folded(lines, layout)


def _folded(lines: Iterable[str], layout: TextLayout) -> list[str]:
    return [part for line in lines for part in fold(line, layout.width, "  ")]


def _notes(report: CheckReport, most: int | None) -> list[str]:
    notes = report.notes if most is None else report.notes[:_NOTES]
    lines = [f"note: {escape_text(note)}" for note in notes]
    if len(notes) < len(report.notes):
        lines.append(f"… and {len(report.notes) - len(notes)} more notes; --all shows them")
    return lines


def _undecided(report: CheckReport) -> Iterator[str]:
    """What cannot be decided before a build or without running the code; it changes no exit code without --strict."""
    if not report.strict:
        yield from (f"start undecided: {escape_text(item)}" for item in report.startup_undecided)
    for item in report.undecided_imports:
        yield f"import undecided: {escape_text(item.path)}:{item.line}: {escape_text(item.reason)}"


def _not_checked(report: CheckReport, layout: TextLayout) -> Iterator[str]:
    """How much Python was not looked at, in one line; each place of it where details are asked for."""
    kinds: dict[UncheckedKind, list[UncheckedPython]] = {}
    for item in report.unchecked:
        kinds.setdefault(item.kind, []).append(item)
    if kinds:
        yield f"not checked: {', '.join(_counted(kind, items) for kind, items in kinds.items())}"
    if layout.detail is Detail.VERBOSE:
        yield from (f"not checked: {escape_text(item.words)}" for item in report.unchecked)


def _counted(kind: UncheckedKind, items: Sequence[UncheckedPython]) -> str:
    """How many of a kind, and what the names of templates and archives end with."""
    from buildguard.project.snippets.unchecked import UncheckedKind

    suffixes = sorted({item.suffix for item in items if item.suffix})
    shown = f" ({', '.join(suffixes)})" if kind in {UncheckedKind.TEMPLATE, UncheckedKind.ARCHIVE} else ""
    return f"{count(len(items), kind)}{shown}"


def summary(report: CheckReport) -> str:
    """The last line: counts and time."""
    files = count(report.files, "file")
    seconds = f"{report.seconds:.1f} s"
    if report.exit_code == 0 and not report.diagnostics:
        if report.hidden:  # what is not shown may be a file that does not compile
            return f"nothing new: {files} checked, {count(report.hidden, 'known finding')} not shown, {seconds}"
        if not report.files and not report.snippets:
            return "nothing to check: no Python source is staged"
        how = {row.proof for row in report.targets}
        files += f" and {count(report.snippets, 'snippet')}" if report.snippets else ""
        return f"clean: {files} {'predicted' if how == {'predicted'} else 'compiled'}, {seconds}"
    unproven = len(report.counted_unproven)
    parts = [*severities(report.diagnostics), *([f"{unproven} unproven"] if unproven else [])]
    return f"{', '.join(parts)} in {files}, {seconds}"


def severities(diagnostics: Sequence[Diagnostic]) -> list[str]:
    """How many errors and how many warnings; what is zero is left out."""
    errors = sum(diagnostic.severity is Severity.ERROR for diagnostic in diagnostics)
    numbers = ((errors, "error"), (len(diagnostics) - errors, "warning"))
    return [count(number, word) for number, word in numbers if number]


def statistics(report: CheckReport) -> Iterator[str]:
    """A line for each code: how often it was reported, its severity and its title."""
    codes = Counter((diagnostic.code, diagnostic.severity) for diagnostic in report.diagnostics)
    for (code, severity), number in sorted(codes.items(), key=lambda item: (-item[1], item[0])):
        yield f"{number:>6}  {style(f'{code} {severity}', fg=_severity_color(severity))}: {CODES[code]}"


def _color(line: str, report: CheckReport) -> str:
    return style(line, bold=True, fg={0: "green", 1: "red"}.get(report.exit_code, "yellow"))


def _severity_color(severity: Severity) -> str:
    return "red" if severity is Severity.ERROR else "yellow"


def shown_path(layout: TextLayout, path: str) -> str:
    """A path as it is typed in the folder where the command runs."""
    if layout.root != layout.folder:
        path = posixpath.relpath(posixpath.join(layout.root, path), layout.folder)
    return escape_text(path)


def _blocks(report: CheckReport, layout: TextLayout) -> Iterator[_Block]:
    hinted: set[str] = set()
    groups = [list(group) for _path, group in groupby(report.diagnostics, key=lambda diagnostic: diagnostic.path)]
    for group in sorted(
        groups, key=lambda diagnostics: all(diagnostic.severity is Severity.WARNING for diagnostic in diagnostics)
    ):
        path = None if group[0].path is None else shown_path(layout, group[0].path)
        heading = () if path is None else (style(path, bold=True),)
        details = tuple(tuple(_finding(diagnostic, hinted, layout)) for diagnostic in group)
        yield _Block(heading, _overview(path, group), details)


def _overview(path: str | None, group: list[Diagnostic]) -> str:
    """One file on one line: its first place, how many findings, and their codes."""
    line = group[0].range.line
    place = style("the project" if path is None else path if line is None else f"{path}:{line}", bold=True)
    codes = ", ".join(dict.fromkeys(diagnostic.code for diagnostic in group))
    return f"{place}: {', '.join(severities(group))} ({codes})"


def _finding(diagnostic: Diagnostic, hinted: set[str], layout: TextLayout) -> Iterator[str]:
    yield from fold(_headline(diagnostic, layout), layout.width, _INDENT)
    yield from excerpt(diagnostic, _INDENT, layout.width)
    if diagnostic.evidence:
        yield from fold(f"{_INDENT}{escape_text(evidence(diagnostic))}", layout.width, _INDENT)
    if diagnostic.hint and (diagnostic.hint not in hinted or layout.detail is Detail.VERBOSE):
        hinted.add(diagnostic.hint)
        yield from fold(f"{_INDENT}hint: {escape_text(diagnostic.hint)}", layout.width, _INDENT)


def _headline(diagnostic: Diagnostic, layout: TextLayout) -> str:
    place = ":".join(str(number) for number in diagnostic.range[:2] if number is not None)
    code = style(f"{diagnostic.code} {diagnostic.severity}", fg=_severity_color(diagnostic.severity))
    engine = f" [{diagnostic.engine}]" if layout.detail is Detail.VERBOSE and diagnostic.engine else ""
    return f"  {place + '  ' if place else ''}{code}: {escape_text(diagnostic.message)}{pythons(diagnostic)}{engine}"


def pythons(diagnostic: Diagnostic) -> str:
    """The Pythons that a finding is about, in brackets; a BG4xx names them in its message."""
    if not diagnostic.target or diagnostic.code.startswith("BG4"):
        return ""
    return f" (Python {', '.join(diagnostic.shared)})"


def evidence(diagnostic: Diagnostic) -> str:
    """The target's own message for the same place."""
    return f"Python {diagnostic.target} reports: {diagnostic.evidence}" if diagnostic.evidence else ""


def _unproven(report: CheckReport, layout: TextLayout) -> Iterator[str]:
    most = layout.lines
    groups: dict[tuple[object, ...], list[Unproven]] = {}
    for item in report.counted_unproven:
        # a lost engine gives every file that it had not compiled the same reason
        groups.setdefault((item.reason, item.target) if most is not None else (item,), []).append(item)
    lines = [line for group in groups.values() for line in _group_lines(group, layout)]
    shown_ones = lines if most is None else lines[: max(1, most // 2)]
    yield from (f"{style('unproven', fg='yellow')}: {line}" for line in shown_ones)
    if len(shown_ones) < len(lines):
        yield f"… and {len(lines) - len(shown_ones)} more unproven; --all shows them"


def _group_lines(group: list[Unproven], layout: TextLayout) -> list[str]:
    """What is unproven for one reason: a line for each file, or one for many."""
    places = ["" if item.path is None else shown_path(layout, item.path) for item in group]
    if len(group) <= _FEW:
        return [unproven_line(item, place) for item, place in zip(group, places, strict=True)]
    names = ", ".join(places[:_FEW])
    return [f"{unproven_line(group[0], count(len(group), 'file'))}: {names} …; --all shows them"]


def target_line(row: TargetRow) -> str:
    """One target: its Python, how many files, and who compiled them."""
    how = {
        "compiled": f"compiled by {row.interpreter}{f' in {row.image}' if row.image_id or row.image_digest else ''}",
        "image": f"compiled by {row.interpreter} in {row.image}",
        "predicted": f"predicted by {row.interpreter}, not compiled{_miss_rate(row)}",
    }.get(row.proof, "not compiled")
    cached = f", {row.cached} cached" if row.cached else ""
    return f"Python {row.python} ({escape_text(row.found_in)}): {count(row.files, 'file')}{cached}, {how}"


def _miss_rate(row: TargetRow) -> str:
    """How often such a prediction lets a faulty program pass."""
    from buildguard.engines.miss_rates import miss_rate

    rate = miss_rate(row.python)
    return f" ({rate.words})" if rate is not None else ""


def _chain(report: CheckReport, chain: Chain) -> list[str]:
    """Where the bytes went before they were compiled, and whether they are the same there."""
    from buildguard.cli.render.diff import verdict
    from buildguard.stages.snapshot import StageKind

    stages = " → ".join(escape_text(shorten_digests(snapshot.stage)) for snapshot in chain.snapshots)
    words = ""
    if chain.snapshots[-1].kind is not StageKind.WORKSPACE:
        words = "; the files in the build were not read"
    elif report.rejected_files and all(hop.identical for hop in chain.hops):
        words = ": the code was rejected as it was written, not damaged on its way"
    return [f"bytes: {stages}", f"bytes: {escape_text(shorten_digests(verdict(chain)))}{words}"]


def image_lines(image: ImageReport, most: int | None) -> list[str]:
    """What `check image:` adds: where the project lies, what is not the project's, and what was installed beside it."""
    few = None if most is None else _FEW
    installed = image.dependencies
    lines = [
        f"{escape_text(image.reference)} ({image.id[:19]}): the project is in {', '.join(map(escape_text, image.roots))}, by {escape_text(image.told_by)}"
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


def moving_target(report: CheckReport) -> list[str]:
    """What a series of deploys would show of several rejected files, as far as a start executes them; empty for one."""
    rejected = report.rejected_files
    if len(rejected) < _SERIES:
        return []
    executed = [path for path in rejected if path in report.executed]
    files, number = count(len(rejected), "file"), len(executed)
    deploys = count(number, "deploy")
    if number < _SERIES:
        which = f"1 of them ({escape_text(executed[0])})" if executed else "none of them"
        return [f"{files} do not compile; the start command is known to execute {which}"]
    some = f"these {files}" if number == len(rejected) else f"the {number} of these {files} that the start executes"
    return [f"an import stops at the first bad file: deployed as they are, {some} fail {deploys} in a row"]
