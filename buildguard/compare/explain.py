"""The cause of each difference of a hop, by the evidence that was collected. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from buildguard.compare.absence import explain_absence
from buildguard.compare.causes import Cause, CauseKind, find_cause
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.hop_evidence import HopContext, HopEvidence
from buildguard.compare.name_index import NameIndex
from buildguard.diagnostic import display_path
from buildguard.stages import lfs
from buildguard.stages.manifest import EXECUTABLE, LINK
from buildguard.stages.snapshot import Snapshot, StageKind


def explain_differences(
    differences: Sequence[Difference], before: Snapshot, after: Snapshot, evidence: HopEvidence
) -> list[Difference]:
    """The same rows with their causes."""
    names = NameIndex(differences, before.manifest, after.manifest)
    hop = HopContext(before, after, evidence)
    return [_explain(difference, names, hop) for difference in differences]


def _explain(difference: Difference, names: NameIndex, hop: HopContext) -> Difference:
    match difference.change:
        case ChangeKind.DAMAGED:
            return difference
        case ChangeKind.MODE:
            return _explain_mode(difference, hop.evidence)
        case ChangeKind.TYPE:
            return _explain_type(difference, hop.evidence)
        case ChangeKind.ADDED | ChangeKind.REMOVED:
            return explain_absence(difference, names, hop)
        case ChangeKind.CHANGED:
            return _explain_content(difference, names, hop)
        case _:
            assert_never(difference.change)


def _explain_mode(difference: Difference, evidence: HopEvidence) -> Difference:
    was_executable = difference.before is not None and difference.before.mode == EXECUTABLE
    words = "lost its executable bit" if was_executable else "became executable"
    return difference._replace(
        cause=CauseKind.MODE, evidence=words, finding=not evidence.no_modes, explained=evidence.no_modes
    )


def _explain_type(difference: Difference, evidence: HopEvidence) -> Difference:
    assert difference.before is not None
    assert difference.after is not None
    types = {difference.before.type, difference.after.type}
    cause = CauseKind.SYMLINK_REPLACED if "symlink" in types else CauseKind.CONTENT
    same = difference.before.sha256 == difference.after.sha256
    explained = evidence.no_links if same and types == {"file", "symlink"} else ""
    words = _type_evidence(difference, evidence)
    return difference._replace(cause=cause, evidence=words, finding=not explained, explained=explained)


def _type_evidence(difference: Difference, evidence: HopEvidence) -> str:
    assert difference.before is not None
    assert difference.after is not None
    words = f"a {difference.before.type} became a {difference.after.type}"
    link = difference.before if difference.before.type == "symlink" else difference.after
    file = difference.after if link is difference.before else difference.before
    text = link.text or evidence.before.get(difference.path, b"")
    if file.sha256 == link.sha256:
        return f"{words} that holds the link's text, {display_path(text)}"
    return f"{words}; the link leads to {display_path(text)}" if text else words


# ------------------------------------------------------------------------------------------ contents

# What an edit may look like; line ends, encodings and keywords are what git's own filters change.
_EDITS = frozenset({CauseKind.CONTENT, CauseKind.TRUNCATED, CauseKind.BIT_FLIP, CauseKind.FINAL_NEWLINE, CauseKind.BOM})


def _explain_content(difference: Difference, names: NameIndex, hop: HopContext) -> Difference:
    """A path with another content, with its cause."""
    by_bytes = _cause_by_bytes(difference, hop.evidence)
    filters = _matching_filters(difference, hop.evidence)
    if filters is not None:
        return _with_mode(_explain_by_filters(difference, by_bytes, filters), hop)
    cause = _find_edit(difference, _find_content_cause(difference, names, hop.evidence, by_bytes), hop)
    smudged = _is_smudged_by_lfs(difference, cause, hop)
    explained = difference._replace(
        cause=cause.name,
        evidence=cause.evidence,
        finding=not smudged,
        explained="Git LFS" if smudged else "",
    )
    return _with_mode(explained, hop)


def _cause_by_bytes(difference: Difference, evidence: HopEvidence) -> Cause | None:
    was, now = evidence.before.get(difference.path), evidence.after.get(difference.path)
    return find_cause(was, now) if was is not None and now is not None else None


def _matching_filters(difference: Difference, evidence: HopEvidence) -> str | None:
    """The filters by which git makes the committed blob of the worktree's bytes."""
    assert difference.before is not None
    blob, filters = evidence.filtered.get(difference.path, (None, ""))
    return filters if blob == difference.before.blob else None


def _explain_by_filters(difference: Difference, by_bytes: Cause | None, filters: str) -> Difference:
    name, words = (by_bytes.name, f"{by_bytes.evidence}; ") if by_bytes is not None else (CauseKind.CONTENT, "")
    evidence = f"{words}git commits it as it was ({filters})"
    return difference._replace(cause=name, evidence=evidence, finding=False, explained=filters)


def _with_mode(difference: Difference, hop: HopContext) -> Difference:
    """A changed content whose executable bit may have changed as well: no filter explains that."""
    assert difference.before is not None
    assert difference.after is not None
    if not hop.records_modes or difference.before.mode == difference.after.mode:
        return difference
    evidence = f"{difference.evidence}; its executable bit changed too"
    if hop.evidence.no_modes:
        return difference._replace(evidence=evidence)
    return difference._replace(evidence=evidence, finding=True, explained="")


def _find_content_cause(
    difference: Difference, names: NameIndex, evidence: HopEvidence, by_bytes: Cause | None
) -> Cause:
    assert difference.before is not None
    assert difference.after is not None
    if difference.before.mode == LINK:
        new, old = display_path(difference.after.text), display_path(difference.before.text)
        return Cause(CauseKind.CONTENT, f"leads to {new}, not to {old}")
    if by_bytes is not None and by_bytes.name is CauseKind.LFS_POINTER:
        return by_bytes
    return (
        _find_in_history(difference, evidence, by_bytes)
        or names.find_collision(difference)
        or names.find_swapped(difference)
        or by_bytes
        or _digests_only(difference)
    )


def _find_in_history(difference: Difference, evidence: HopEvidence, by_bytes: Cause | None) -> Cause | None:
    assert difference.after is not None
    commit = evidence.older.get((difference.path, difference.after.blob))
    if not commit or (not difference.after.size and by_bytes is not None):
        return None
    also = f" ({by_bytes.evidence})" if by_bytes is not None and by_bytes.name is not CauseKind.CONTENT else ""
    return Cause(CauseKind.STALE, f"it is as in commit {commit}{also}")


def _digests_only(difference: Difference) -> Cause:
    assert difference.before is not None
    assert difference.after is not None
    old, new = difference.before.sha256[:12], difference.after.sha256[:12]
    return Cause(CauseKind.CONTENT, f"sha256 {old}… became {new}…: the contents are not at hand")


def _find_edit(difference: Difference, cause: Cause, hop: HopContext) -> Cause:
    """A content without any other cause that was edited in the working tree, on either side."""
    assert difference.after is not None
    if hop.is_checkout and cause.name is CauseKind.CONTENT:
        return Cause(CauseKind.LOCAL_EDIT, cause.evidence)
    # what arrived is whole where it is as committed: nothing cut it, or damaged it on the way
    is_committed = hop.evidence.committed.get(difference.path) == difference.after.blob
    if is_committed and cause.name in _EDITS:
        words = f"{hop.after.stage} is as committed, {hop.before.stage} was edited\n{cause.evidence}"
        return Cause(CauseKind.LOCAL_EDIT, words)
    return cause


def _is_smudged_by_lfs(difference: Difference, cause: Cause, hop: HopContext) -> bool:
    """Whether a working tree holds the very content that the committed Git LFS pointer names."""
    was = hop.evidence.before.get(difference.path)
    if cause.name is not CauseKind.LFS_POINTER or was is None or hop.after.kind is not StageKind.WORKTREE:
        return False
    assert difference.after is not None
    return lfs.parse_pointer(was) == (difference.after.sha256, difference.after.size)
