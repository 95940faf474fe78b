"""A stage against the commit that it was made of: the causes that its differences prove or exclude."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from buildguard.compare.causes import CauseKind
from buildguard.compare.chain import Chain
from buildguard.compare.diff import diff
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.image_lookup import ImageLookup
from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.evidence import SHORT, DiagnoseContext, Evidence
from buildguard.diagnose.incident import CauseVerdict, SourceLocation
from buildguard.diagnostic import display_path
from buildguard.errors import GuardError

_BYTES, _STALE, _FILES, _ENCODING = (
    CauseId.BYTES_CHANGED,
    CauseId.STALE_IMAGE,
    CauseId.WRONG_FILES_SENT,
    CauseId.ENCODING,
)
_AS_TEXT = frozenset({CauseKind.LINE_ENDINGS, CauseKind.BOM, CauseKind.TRANSCODED})
_RENAMED = frozenset({CauseKind.MOVED, CauseKind.NAME_NORMALIZATION, CauseKind.CASE_COLLISION})
_MOST = 20


def compare_stage(context: DiagnoseContext, stage: str, names: tuple[str, ...]) -> Evidence:
    """A stage against its commit: each difference speaks for a cause, and none excludes those that were looked for."""
    before = f"commit:{context.commit[:SHORT]}"
    if context.is_elsewhere:
        return Evidence(unexamined=tuple((name, context.elsewhere) for name in (*names, _ENCODING)))
    try:
        chain = diff(context.cwd, [before, stage], where=context.location, lookup=ImageLookup(context.project)).chain
    except GuardError as error:
        return Evidence(unexamined=tuple((name, error.words) for name in (*names, _ENCODING)))
    shown = tuple(_of_chain(chain, before, stage))
    proven = {verdict.cause for verdict in shown}
    if chain.unproven:
        reason = chain.unproven[0].reason
        blind = tuple((name, reason) for name in (*names, _ENCODING) if name not in proven)
        return Evidence(shown, unexamined=blind, chains=(chain,))
    files = len(chain.hops[0].before.manifest.entries)
    words = f"{before} → {stage}: {{}} ({files} entries in the commit)"
    other = "other " if proven else ""
    nothing: dict[str, str] = {
        _BYTES: f"no {other}content differs",
        _STALE: "no file is an older one",
        _FILES: "no file is missing, and no source too many",
    }
    excluded = (CauseVerdict(name, False, words.format(nothing[name])) for name in names if name not in proven)
    same = "" if _ENCODING in proven else words.format("no file has other line ends, another encoding or a mark")
    return Evidence((*shown, *excluded), chains=(chain,), compared=same)


def _of_chain(chain: Chain, before: str, stage: str) -> Iterator[CauseVerdict]:
    """What the differences speak for: of each cause the first few, so that none crowds out another."""
    counts: Counter[str] = Counter()
    findings = chain.hops[0].findings
    after = chain.hops[0].after.manifest.entries.values()
    # a context that comes from Windows makes every file executable, and that breaks nothing
    from_windows = all(entry.mode != "100644" for entry in after)
    for difference in findings:
        if difference.change == ChangeKind.MODE and from_windows:
            continue
        for shown in _of_difference(difference, before, stage):
            counts[shown.cause] += 1
            if counts[shown.cause] <= _MOST:
                yield shown


def _of_difference(difference: Difference, before: str, stage: str) -> Iterator[CauseVerdict]:
    path = display_path(difference.path)
    evidence = difference.evidence.partition("\n")[0]
    words = f"{path} {difference.change} in {stage}: {difference.cause}{f' ({evidence})' if evidence else ''}"
    place = SourceLocation(path, None)
    if difference.cause == CauseKind.STALE:
        yield CauseVerdict(_STALE, True, words, place, "build without the cache: docker builder prune, or --no-cache")
    elif difference.change in {ChangeKind.REMOVED, ChangeKind.ADDED} and difference.cause not in _RENAMED:
        yield CauseVerdict(
            _FILES, True, words, place, "buildguard diff commit:HEAD dir:. shows which ignore rule drops what"
        )
    else:
        yield CauseVerdict(
            _BYTES, True, words, place, f"buildguard diff {before} {stage} shows every byte that differs"
        )
        if difference.cause in _AS_TEXT:
            remedy = "* text=auto eol=lf in .gitattributes keeps line endings as they are"
            yield CauseVerdict(_ENCODING, True, words, place, remedy)
