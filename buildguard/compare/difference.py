"""What differs between two neighbouring snapshots, and the cause of each difference. Pure.

First the rows: what was added, removed or changed is a matter of digests alone, and nothing here can take a row away.
Then the causes, from what the ring around collected as evidence; a cause decides how a row is told, and whether it
is a finding or something that somebody asked for.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from buildguard.compare import causes
from buildguard.compare.causes import Cause
from buildguard.diagnostic import Unproven, display_path
from buildguard.stages import lfs
from buildguard.stages.manifest import EXECUTABLE, LINK, SUBMODULE, Manifest, ManifestEntry, fold_path, normalize_path
from buildguard.stages.snapshot import Snapshot, StageKind

ADDED, REMOVED, CHANGED, MODE, TYPE, DAMAGED = "added", "removed", "changed", "mode", "type", "damaged"
CODES = {REMOVED: "BG301", ADDED: "BG302", CHANGED: "BG303", MODE: "BG304", TYPE: "BG305", DAMAGED: "BG306"}
_SOURCES = (b".py", b".pyw", b".pyi")


class Difference(NamedTuple):
    """One path of a hop: what changed and why.

    `finding` is false for what somebody asked for, `explained` says who, and for what cannot be decided, `undecided` says why.
    """

    path: bytes
    change: str
    cause: str = causes.CONTENT
    evidence: str = ""
    finding: bool = True
    explained: str = ""
    before: ManifestEntry | None = None
    after: ManifestEntry | None = None
    undecided: str = ""


class HopEvidence(NamedTuple):
    """What is known of a hop beside its two manifests; whatever is missing explains nothing.

    `before` and `after` hold contents. `older` names the commit that held a path with that blob id. `drops` is the
    ignore rule that drops a path. `exported` is what `git archive` makes of the commit, None where nobody asked.
    `filtered` is the blob that git's own filters make of a worktree file, with their names. `copied` are the paths that
    the Dockerfile copies, None where there is none. `committed` is the blob of each path in the
    commit. `doubts` says why the image may lack a path for all that is known of its Dockerfile. `no_modes` and `no_links` are the settings by which git says that the disk has none.
    """

    before: Mapping[bytes, bytes] = {}
    after: Mapping[bytes, bytes] = {}
    older: Mapping[tuple[bytes, str], str] = {}
    drops: Mapping[bytes, str] = {}
    exported: Mapping[bytes, str] | None = None
    filtered: Mapping[bytes, tuple[str, str]] = {}
    copied: frozenset[bytes] | None = None
    no_modes: str = ""
    no_links: str = ""
    committed: Mapping[bytes, str] = {}
    doubts: Mapping[bytes, str] = {}


# ---------------------------------------------------------------------------------------------- rows


def find_differences(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Every path whose type, executable bit or content differs, or whose object is damaged; its cause is yet to be found."""
    before_manifest, after_manifest = before.manifest, after.manifest
    damaged = {**before.damaged, **after.damaged}
    differences = [Difference(path or b".", DAMAGED, causes.DAMAGED, reason) for path, reason in damaged.items()]
    if StageKind.UNREAD in {before.kind, after.kind}:
        return differences  # what could not be read is unproven, and says nothing of what it lacks
    if b"" in damaged:
        return differences
    unseen = {unproven.path for side in (before, after) for unproven in side.unproven if unproven.path is not None}
    unseen |= {display_path(path) for path in damaged}
    for path in sorted(before_manifest.entries.keys() | after_manifest.entries.keys()):
        was, now = before_manifest.entries.get(path), after_manifest.entries.get(path)
        if was == now or _is_incomparable(path, was, before, after) or _is_incomparable(path, now, after, before):
            continue
        if unseen and _at_or_below(display_path(path), unseen):
            continue  # it is there, or not: nobody could look
        change = _change(was, now, modes=not (before_manifest.contents_only or after_manifest.contents_only))
        if change:
            differences.append(Difference(path, change, before=was, after=now))
    return differences


def _at_or_below(path: str, several: set[str]) -> bool:
    while path:
        if path in several:
            return True
        path = path.rpartition("/")[0]
    return False


def _change(was: ManifestEntry | None, now: ManifestEntry | None, *, modes: bool) -> str:
    if was is None or now is None:
        return ADDED if was is None else REMOVED
    if was.type != now.type:
        return TYPE
    if was.sha256 != now.sha256:
        return CHANGED
    return MODE if modes and was.mode != now.mode else ""


def _is_incomparable(path: bytes, entry: ManifestEntry | None, here: Snapshot, other_stage: Snapshot) -> bool:
    """Whether the other stage cannot say anything of an entry, so that its absence there means nothing."""
    if entry is None or path in other_stage.manifest.entries:
        return False
    if any((path + b"/").startswith(folder) for folder in other_stage.closed):
        return True  # that its files are not known is said where there are any
    if entry.mode == SUBMODULE and path + b"/" not in here.closed:
        return True  # its files are compared one by one
    if entry.mode == SUBMODULE:
        return any(other.startswith(path + b"/") for other in other_stage.manifest.entries)
    return other_stage.manifest.contents_only and entry.mode == LINK


def list_incomparable(before: Snapshot, after: Snapshot) -> Iterator[Unproven]:
    """What one of two stages has and the other has no words for, and an image in which nothing is the other's."""
    if after.kind is StageKind.IMAGE and before.kind is not StageKind.UNREAD and not _in_common(before, after):
        yield Unproven(None, None, f"{after.stage} and {before.stage} have no file in common")
    for here, other_stage in ((before, after), (after, before)):
        if not other_stage.closed and not other_stage.manifest.contents_only:
            continue
        for path, entry in here.manifest.entries.items():
            if any(path.startswith(folder) for folder in other_stage.closed):
                yield Unproven(display_path(path), None, f"its submodule's files are not known to {other_stage.stage}")
            if not other_stage.manifest.contents_only or here.manifest.contents_only:
                continue
            if entry.mode == LINK:
                yield Unproven(display_path(path), None, f"a symbolic link, which {other_stage.stage} cannot tell")
            elif entry.mode == EXECUTABLE:
                yield Unproven(display_path(path), None, f"executable, which {other_stage.stage} cannot tell")


def _in_common(before: Snapshot, after: Snapshot) -> bool:
    return not before.manifest.entries.keys().isdisjoint(after.manifest.entries)


# ---------------------------------------------------------------------------------------------- causes


def explain_differences(
    differences: list[Difference], before: Snapshot, after: Snapshot, evidence: HopEvidence
) -> list[Difference]:
    """The same rows with their causes."""
    names = _NameIndex(differences, before.manifest, after.manifest)
    return [_explain(difference, names, before, after, evidence) for difference in differences]


def _explain(
    difference: Difference, names: _NameIndex, before: Snapshot, after: Snapshot, evidence: HopEvidence
) -> Difference:
    if difference.change == DAMAGED:
        return difference
    if difference.change == MODE:
        return _of_mode(difference, evidence)
    if difference.change == TYPE:
        return _of_type(difference, evidence)
    if difference.change in {ADDED, REMOVED}:
        return _of_absence(difference, names, before, after, evidence)
    return _of_content(difference, names, before, after, evidence)


def _of_mode(difference: Difference, evidence: HopEvidence) -> Difference:
    words = (
        "lost its executable bit"
        if difference.before is not None and difference.before.mode == EXECUTABLE
        else "became executable"
    )
    return difference._replace(
        cause=causes.MODE, evidence=words, finding=not evidence.no_modes, explained=evidence.no_modes
    )


def _of_type(difference: Difference, evidence: HopEvidence) -> Difference:
    types = {entry.type for entry in (difference.before, difference.after) if entry is not None}
    cause = causes.SYMLINK_REPLACED if "symlink" in types else causes.CONTENT
    same = (
        difference.before is not None
        and difference.after is not None
        and difference.before.sha256 == difference.after.sha256
    )
    asked = evidence.no_links if same and types == {"file", "symlink"} else ""
    return difference._replace(
        cause=cause, evidence=_type_evidence(difference, evidence), finding=not asked, explained=asked
    )


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


class _NameIndex:
    """Where else the contents and the names of a hop's rows are found."""

    def __init__(self, differences: list[Difference], before: Manifest, after: Manifest) -> None:
        self._before, self._after = before, after
        self._added = {
            difference.after.sha256: difference
            for difference in differences
            if difference.after is not None and difference.change == ADDED
        }
        self._removed = {
            difference.before.sha256: difference
            for difference in differences
            if difference.before is not None and difference.change == REMOVED
        }
        self._changed = [difference for difference in differences if difference.change == CHANGED]
        self._old: dict[str, bytes] = {
            difference.before.sha256: difference.path for difference in self._changed if difference.before is not None
        }
        gone = [difference.path for difference in differences if difference.change == REMOVED]
        come = [difference.path for difference in differences if difference.change == ADDED]
        self._normal_gone = {normalize_path(path): path for path in gone if not path.isascii()}
        self._normal_come = {normalize_path(path): path for path in come if not path.isascii()}
        # only what shares a folded name with a row of this hop can have been mixed up with it
        self._cases: dict[str, list[bytes]] = {}
        wanted = {fold_path(difference.path) for difference in differences}
        for path in {**before.entries, **after.entries}:
            if (key := fold_path(path)) in wanted:
                self._cases.setdefault(key, []).append(path)

    def normalized(self, difference: Difference) -> Cause | None:
        """The same name in another Unicode form on the other side."""
        other = (self._normal_come if difference.change == REMOVED else self._normal_gone).get(
            normalize_path(difference.path)
        )
        if other is None or other == difference.path:
            return None
        forms = [
            _form(path)
            for path in ((difference.path, other) if difference.change == REMOVED else (other, difference.path))
        ]
        same = "the same content" if self._same(difference.path, other) else "and other content"
        return Cause(causes.NAME_NORMALIZATION, f"the name is {forms[0]} before and {forms[1]} after, {same}")

    def collided(self, difference: Difference) -> Cause | None:
        """A name that differs by case only."""
        for other in self._cases.get(fold_path(difference.path), ()):
            if other == difference.path or normalize_path(other) == normalize_path(difference.path):
                continue
            if difference.change == CHANGED and not self._took(difference, other):
                continue
            return Cause(causes.CASE_COLLISION, f"{display_path(other)} is the same name on a disk that ignores case")
        return None

    def moved(self, difference: Difference) -> Cause | None:
        """The same content under another name on the other side."""
        entry = difference.before if difference.change == REMOVED else difference.after
        if entry is None or not entry.size or entry.type != "file":
            return None
        other = (self._added if difference.change == REMOVED else self._removed).get(entry.sha256)
        if other is None:
            return None
        return Cause(causes.MOVED, f"{'now' if difference.change == REMOVED else 'was'} {display_path(other.path)}")

    def swapped(self, difference: Difference) -> Cause | None:
        """The old content of another path that changed as well."""
        assert difference.after is not None
        other = self._old.get(difference.after.sha256)
        if other is None or other == difference.path or not difference.after.size:
            return None
        return Cause(causes.MOVED, f"holds what {display_path(other)} held")

    def _same(self, path: bytes, other: bytes) -> bool:
        entries = [
            manifest.entries[name]
            for manifest in (self._before, self._after)
            for name in (path, other)
            if name in manifest.entries
        ]
        return len({entry.sha256 for entry in entries}) == 1

    def _took(self, difference: Difference, other: bytes) -> bool:
        was = self._before.entries.get(other)
        return was is not None and difference.after is not None and was.sha256 == difference.after.sha256


def _of_absence(
    difference: Difference, names: _NameIndex, before: Snapshot, after: Snapshot, evidence: HopEvidence
) -> Difference:
    """Why a path is on one side only."""
    cause = names.normalized(difference) or names.collided(difference) or names.moved(difference)
    if after.kind is StageKind.IMAGE and difference.change == REMOVED:
        settled = _of_removed(difference, before, after, evidence)
        if not settled.finding:
            return settled  # the same content elsewhere is no reason to miss it here
    if cause is not None:
        return difference._replace(cause=cause.name, evidence=cause.evidence)
    if difference.change == REMOVED:
        return _of_removed(difference, before, after, evidence)
    assert difference.after is not None
    commit = evidence.older.get((difference.path, difference.after.blob))
    if commit:
        return difference._replace(cause=causes.STALE, evidence=f"it is from commit {commit}, and was removed since")
    if after.kind is StageKind.WORKTREE and before.kind.in_git:
        return difference._replace(cause=causes.LOCAL_EDIT, evidence=f"not in {before.stage}")
    harmless = after.kind is StageKind.IMAGE and not difference.path.endswith(_SOURCES)
    words = "made by the build" if harmless else ""
    return difference._replace(evidence=f"only in {after.stage}", finding=not harmless, explained=words)


def _of_removed(difference: Difference, before: Snapshot, after: Snapshot, evidence: HopEvidence) -> Difference:
    path = difference.path
    rule = evidence.drops.get(path)
    # who writes a .dockerignore means the image; what gcloud drops, docker never saw
    matters = after.kind is not StageKind.IMAGE and (
        path.endswith(_SOURCES) or (evidence.copied is not None and path in evidence.copied)
    )
    if rule:
        return difference._replace(cause=causes.IGNORED, evidence=f"dropped by {rule}", finding=matters, explained=rule)
    if path in evidence.doubts:
        why = evidence.doubts[path]
        return difference._replace(evidence=f"not in {after.stage}", finding=False, undecided=why)
    if after.kind is StageKind.IMAGE and evidence.copied is not None and path not in evidence.copied:
        words = "the Dockerfile copies it nowhere"
        return difference._replace(cause=causes.IGNORED, evidence=words, finding=False, explained=words)
    if evidence.exported is not None and path not in evidence.exported:
        words = "git's attribute export-ignore"
        return difference._replace(cause=causes.EXPORT_IGNORE, evidence=words, finding=matters, explained=words)
    if after.kind is StageKind.WORKTREE and before.kind.in_git:
        return difference._replace(cause=causes.LOCAL_EDIT, evidence="deleted in the working tree")
    return difference._replace(evidence=f"not in {after.stage}")


def _of_content(
    difference: Difference, names: _NameIndex, before: Snapshot, after: Snapshot, evidence: HopEvidence
) -> Difference:
    """Why a path has another content."""
    assert difference.before is not None
    assert difference.after is not None
    was, now = evidence.before.get(difference.path), evidence.after.get(difference.path)
    by_bytes = causes.find_cause(was, now) if was is not None and now is not None else None
    also = ""
    if before.manifest.contents_only or after.manifest.contents_only or difference.before.mode == difference.after.mode:
        also = ""
    else:
        also = "; its executable bit changed too"
    filtered = evidence.filtered.get(difference.path)
    if filtered is not None and filtered[0] == difference.before.blob:
        return _explain_by_filters(difference, by_bytes, filtered[1])._replace(
            before=difference.before, after=difference.after
        )
    if difference.before.mode == LINK:
        cause = Cause(
            causes.CONTENT,
            f"leads to {display_path(difference.after.text)}, not to {display_path(difference.before.text)}",
        )
    elif by_bytes is not None and by_bytes.name == causes.LFS_POINTER:
        cause = by_bytes
    else:
        cause = (
            _explain_by_history(difference, evidence, by_bytes)
            or names.collided(difference)
            or names.swapped(difference)
            or _smallest_cause(difference, by_bytes)
        )
    if cause.name == causes.CONTENT and after.kind is StageKind.WORKTREE and before.kind.in_git:
        cause = Cause(causes.LOCAL_EDIT, cause.evidence)
    elif cause.name == causes.CONTENT and evidence.committed.get(difference.path) == difference.after.blob:
        cause = Cause(causes.LOCAL_EDIT, f"{after.stage} is as committed, {before.stage} was edited\n{cause.evidence}")
    verified = cause.name == causes.LFS_POINTER and was is not None and "the very content" in cause.evidence
    smudged = verified and after.kind is StageKind.WORKTREE and lfs.parse_pointer(was or b"") is not None
    words = "Git LFS" if smudged else ""
    return difference._replace(cause=cause.name, evidence=cause.evidence + also, finding=not smudged, explained=words)


def _explain_by_filters(difference: Difference, by_bytes: Cause | None, words: str) -> Difference:
    """Git's own filters make the committed blob of the worktree's bytes: that is what somebody configured."""
    name = by_bytes.name if by_bytes is not None else causes.CONTENT
    evidence = f"{by_bytes.evidence}; " if by_bytes is not None else ""
    return difference._replace(
        cause=name, evidence=f"{evidence}git commits it as it was ({words})", finding=False, explained=words
    )


def _explain_by_history(difference: Difference, evidence: HopEvidence, by_bytes: Cause | None) -> Cause | None:
    assert difference.after is not None
    commit = evidence.older.get((difference.path, difference.after.blob))
    if not commit or (not difference.after.size and by_bytes is not None):
        return None
    also = f" ({by_bytes.evidence})" if by_bytes is not None and by_bytes.name != causes.CONTENT else ""
    return Cause(causes.STALE, f"it is as in commit {commit}{also}")


def _smallest_cause(difference: Difference, by_bytes: Cause | None) -> Cause:
    assert difference.before is not None
    assert difference.after is not None
    if by_bytes is not None:
        return by_bytes
    return Cause(
        causes.CONTENT,
        f"sha256 {difference.before.sha256[:12]}… became {difference.after.sha256[:12]}…: the contents are not at hand",
    )


def _form(path: bytes) -> str:
    text = os.fsdecode(path)
    forms = [form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, text)]
    return forms[0] if forms else "of mixed form"


# ---------------------------------------------------------------------------------------------- notes


# ---------------------------------------------------------------------------------------------- what is carried on


def settle_chain(hops: list[tuple[Snapshot, Snapshot, list[Difference]]]) -> list[list[Difference]]:
    """The rows of each hop once the whole chain is known.

    What git's filters make of a worktree concerns nobody as long as it stays there. Carried on to a later stage it is
    what will run, so it is a finding; undone there, the way back to what was committed is none.
    """
    rows_of_hops = [list(differences) for _before, _after, differences in hops]
    for at, (before, after, differences) in enumerate(hops):
        if after.kind is not StageKind.WORKTREE or at + 1 == len(hops):
            continue
        last = hops[-1][1].manifest.entries
        for number, difference in enumerate(differences):
            if not difference.explained or difference.before is None or difference.after is None:
                continue
            end = last.get(difference.path)
            if end is not None and (end.sha256, end.mode) == (difference.after.sha256, difference.after.mode):
                rows_of_hops[at][number] = difference._replace(
                    finding=True, evidence=f"{difference.evidence}; {hops[-1][1].stage} has it too"
                )
            elif end is not None and end.sha256 == difference.before.sha256:
                _mark_undone(rows_of_hops, difference, start=at + 1, committed=before.stage)
    return rows_of_hops


def _mark_undone(rows_of_hops: list[list[Difference]], difference: Difference, *, start: int, committed: str) -> None:
    for later in rows_of_hops[start:]:
        for number, other in enumerate(later):
            if (
                other.path == difference.path
                and other.after is not None
                and difference.before is not None
                and other.after.sha256 == difference.before.sha256
            ):
                words = f"as in {committed} again"
                later[number] = other._replace(finding=False, explained=words, evidence=f"{other.evidence}; {words}")
