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
from buildguard.diagnostic import Unproven, shown_path
from buildguard.stages import lfs, snapshot
from buildguard.stages.manifest import EXECUTABLE, LINK, SUBMODULE, Entry, Manifest, folded, normal
from buildguard.stages.snapshot import Snapshot

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
    before: Entry | None = None
    after: Entry | None = None
    undecided: str = ""


class Evidence(NamedTuple):
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


def rows(before: Snapshot, after: Snapshot) -> list[Difference]:
    """Every path whose type, executable bit or content differs, or whose object is damaged; its cause is yet to be found."""
    one, other = before.manifest, after.manifest
    damaged = {**before.damaged, **after.damaged}
    found = [Difference(path or b".", DAMAGED, causes.DAMAGED, reason) for path, reason in damaged.items()]
    if snapshot.UNREAD in {before.kind, after.kind}:
        return found  # what could not be read is unproven, and says nothing of what it lacks
    if b"" in damaged:
        return found
    unseen = {unproven.path for side in (before, after) for unproven in side.unproven if unproven.path is not None}
    unseen |= {shown_path(path) for path in damaged}
    for path in sorted(one.entries.keys() | other.entries.keys()):
        was, now = one.entries.get(path), other.entries.get(path)
        if was == now or _not_told(path, was, before, after) or _not_told(path, now, after, before):
            continue
        if unseen and _at_or_below(shown_path(path), unseen):
            continue  # it is there, or not: nobody could look
        change = _change(was, now, modes=not (one.contents_only or other.contents_only))
        if change:
            found.append(Difference(path, change, before=was, after=now))
    return found


def _at_or_below(path: str, several: set[str]) -> bool:
    while path:
        if path in several:
            return True
        path = path.rpartition("/")[0]
    return False


def _change(was: Entry | None, now: Entry | None, *, modes: bool) -> str:
    if was is None or now is None:
        return ADDED if was is None else REMOVED
    if was.type != now.type:
        return TYPE
    if was.sha256 != now.sha256:
        return CHANGED
    return MODE if modes and was.mode != now.mode else ""


def _not_told(path: bytes, entry: Entry | None, here: Snapshot, there: Snapshot) -> bool:
    """Whether the other stage cannot say anything of an entry, so that its absence there means nothing."""
    if entry is None or path in there.manifest.entries:
        return False
    if any((path + b"/").startswith(folder) for folder in there.closed):
        return True  # that its files are not known is said where there are any
    if entry.mode == SUBMODULE and path + b"/" not in here.closed:
        return True  # its files are compared one by one
    if entry.mode == SUBMODULE:
        return any(other.startswith(path + b"/") for other in there.manifest.entries)
    return there.manifest.contents_only and entry.mode == LINK


def untold(before: Snapshot, after: Snapshot) -> Iterator[Unproven]:
    """What one of two stages has and the other has no words for, and an image in which nothing is the other's."""
    if after.kind == snapshot.IMAGE and before.kind != snapshot.UNREAD and not _in_common(before, after):
        yield Unproven(None, None, f"{after.stage} and {before.stage} have no file in common")
    for here, there in ((before, after), (after, before)):
        if not there.closed and not there.manifest.contents_only:
            continue
        for path, entry in here.manifest.entries.items():
            if any(path.startswith(folder) for folder in there.closed):
                yield Unproven(shown_path(path), None, f"its submodule's files are not known to {there.stage}")
            if not there.manifest.contents_only or here.manifest.contents_only:
                continue
            if entry.mode == LINK:
                yield Unproven(shown_path(path), None, f"a symbolic link, which {there.stage} cannot tell")
            elif entry.mode == EXECUTABLE:
                yield Unproven(shown_path(path), None, f"executable, which {there.stage} cannot tell")


def _in_common(before: Snapshot, after: Snapshot) -> bool:
    return not before.manifest.entries.keys().isdisjoint(after.manifest.entries)


# ---------------------------------------------------------------------------------------------- causes


def explained(found: list[Difference], before: Snapshot, after: Snapshot, evidence: Evidence) -> list[Difference]:
    """The same rows with their causes."""
    names = _Names(found, before.manifest, after.manifest)
    return [_explained(one, names, before, after, evidence) for one in found]


def _explained(one: Difference, names: _Names, before: Snapshot, after: Snapshot, evidence: Evidence) -> Difference:
    if one.change == DAMAGED:
        return one
    if one.change == MODE:
        return _of_mode(one, evidence)
    if one.change == TYPE:
        return _of_type(one, evidence)
    if one.change in {ADDED, REMOVED}:
        return _of_absence(one, names, before, after, evidence)
    return _of_content(one, names, before, after, evidence)


def _of_mode(one: Difference, evidence: Evidence) -> Difference:
    words = (
        "lost its executable bit" if one.before is not None and one.before.mode == EXECUTABLE else "became executable"
    )
    return one._replace(cause=causes.MODE, evidence=words, finding=not evidence.no_modes, explained=evidence.no_modes)


def _of_type(one: Difference, evidence: Evidence) -> Difference:
    types = {entry.type for entry in (one.before, one.after) if entry is not None}
    cause = causes.SYMLINK_REPLACED if "symlink" in types else causes.CONTENT
    same = one.before is not None and one.after is not None and one.before.sha256 == one.after.sha256
    asked = evidence.no_links if same and types == {"file", "symlink"} else ""
    return one._replace(cause=cause, evidence=_type_evidence(one, evidence), finding=not asked, explained=asked)


def _type_evidence(one: Difference, evidence: Evidence) -> str:
    assert one.before is not None
    assert one.after is not None
    words = f"a {one.before.type} became a {one.after.type}"
    link = one.before if one.before.type == "symlink" else one.after
    file = one.after if link is one.before else one.before
    text = link.text or evidence.before.get(one.path, b"")
    if file.sha256 == link.sha256:
        return f"{words} that holds the link's text, {shown_path(text)}"
    return f"{words}; the link leads to {shown_path(text)}" if text else words


class _Names:
    """Where else the contents and the names of a hop's rows are found."""

    def __init__(self, found: list[Difference], before: Manifest, after: Manifest) -> None:
        self._before, self._after = before, after
        self._added = {one.after.sha256: one for one in found if one.after is not None and one.change == ADDED}
        self._removed = {one.before.sha256: one for one in found if one.before is not None and one.change == REMOVED}
        self._changed = [one for one in found if one.change == CHANGED]
        self._old: dict[str, bytes] = {one.before.sha256: one.path for one in self._changed if one.before is not None}
        gone = [one.path for one in found if one.change == REMOVED]
        come = [one.path for one in found if one.change == ADDED]
        self._normal_gone = {normal(path): path for path in gone if not path.isascii()}
        self._normal_come = {normal(path): path for path in come if not path.isascii()}
        # only what shares a folded name with a row of this hop can have been mixed up with it
        self._cases: dict[str, list[bytes]] = {}
        wanted = {folded(one.path) for one in found}
        for path in {**before.entries, **after.entries}:
            if (key := folded(path)) in wanted:
                self._cases.setdefault(key, []).append(path)

    def normalized(self, one: Difference) -> Cause | None:
        """The same name in another Unicode form on the other side."""
        other = (self._normal_come if one.change == REMOVED else self._normal_gone).get(normal(one.path))
        if other is None or other == one.path:
            return None
        forms = [_form(path) for path in ((one.path, other) if one.change == REMOVED else (other, one.path))]
        same = "the same content" if self._same(one.path, other) else "and other content"
        return Cause(causes.NAME_NORMALIZATION, f"the name is {forms[0]} before and {forms[1]} after, {same}")

    def collided(self, one: Difference) -> Cause | None:
        """A name that differs by case only."""
        for other in self._cases.get(folded(one.path), ()):
            if other == one.path or normal(other) == normal(one.path):
                continue
            if one.change == CHANGED and not self._took(one, other):
                continue
            return Cause(causes.CASE_COLLISION, f"{shown_path(other)} is the same name on a disk that ignores case")
        return None

    def moved(self, one: Difference) -> Cause | None:
        """The same content under another name on the other side."""
        entry = one.before if one.change == REMOVED else one.after
        if entry is None or not entry.size or entry.type != "file":
            return None
        other = (self._added if one.change == REMOVED else self._removed).get(entry.sha256)
        if other is None:
            return None
        return Cause(causes.MOVED, f"{'now' if one.change == REMOVED else 'was'} {shown_path(other.path)}")

    def swapped(self, one: Difference) -> Cause | None:
        """The old content of another path that changed as well."""
        assert one.after is not None
        other = self._old.get(one.after.sha256)
        if other is None or other == one.path or not one.after.size:
            return None
        return Cause(causes.MOVED, f"holds what {shown_path(other)} held")

    def _same(self, path: bytes, other: bytes) -> bool:
        entries = [
            manifest.entries[name]
            for manifest in (self._before, self._after)
            for name in (path, other)
            if name in manifest.entries
        ]
        return len({entry.sha256 for entry in entries}) == 1

    def _took(self, one: Difference, other: bytes) -> bool:
        was = self._before.entries.get(other)
        return was is not None and one.after is not None and was.sha256 == one.after.sha256


def _of_absence(one: Difference, names: _Names, before: Snapshot, after: Snapshot, evidence: Evidence) -> Difference:
    """Why a path is on one side only."""
    found = names.normalized(one) or names.collided(one) or names.moved(one)
    if after.kind == snapshot.IMAGE and one.change == REMOVED:
        settled = _of_removed(one, before, after, evidence)
        if not settled.finding:
            return settled  # the same content elsewhere is no reason to miss it here
    if found is not None:
        return one._replace(cause=found.name, evidence=found.evidence)
    if one.change == REMOVED:
        return _of_removed(one, before, after, evidence)
    assert one.after is not None
    commit = evidence.older.get((one.path, one.after.blob))
    if commit:
        return one._replace(cause=causes.STALE, evidence=f"it is from commit {commit}, and was removed since")
    if after.kind == snapshot.WORKTREE and before.kind in snapshot.IN_GIT:
        return one._replace(cause=causes.LOCAL_EDIT, evidence=f"not in {before.stage}")
    harmless = after.kind == snapshot.IMAGE and not one.path.endswith(_SOURCES)
    words = "made by the build" if harmless else ""
    return one._replace(evidence=f"only in {after.stage}", finding=not harmless, explained=words)


def _of_removed(one: Difference, before: Snapshot, after: Snapshot, evidence: Evidence) -> Difference:
    path = one.path
    rule = evidence.drops.get(path)
    # who writes a .dockerignore means the image; what gcloud drops, docker never saw
    matters = after.kind != snapshot.IMAGE and (
        path.endswith(_SOURCES) or (evidence.copied is not None and path in evidence.copied)
    )
    if rule:
        return one._replace(cause=causes.IGNORED, evidence=f"dropped by {rule}", finding=matters, explained=rule)
    if path in evidence.doubts:
        why = evidence.doubts[path]
        return one._replace(evidence=f"not in {after.stage}", finding=False, undecided=why)
    if after.kind == snapshot.IMAGE and evidence.copied is not None and path not in evidence.copied:
        words = "the Dockerfile copies it nowhere"
        return one._replace(cause=causes.IGNORED, evidence=words, finding=False, explained=words)
    if evidence.exported is not None and path not in evidence.exported:
        words = "git's attribute export-ignore"
        return one._replace(cause=causes.EXPORT_IGNORE, evidence=words, finding=matters, explained=words)
    if after.kind == snapshot.WORKTREE and before.kind in snapshot.IN_GIT:
        return one._replace(cause=causes.LOCAL_EDIT, evidence="deleted in the working tree")
    return one._replace(evidence=f"not in {after.stage}")


def _of_content(one: Difference, names: _Names, before: Snapshot, after: Snapshot, evidence: Evidence) -> Difference:
    """Why a path has another content."""
    assert one.before is not None
    assert one.after is not None
    was, now = evidence.before.get(one.path), evidence.after.get(one.path)
    by_bytes = causes.of_contents(was, now) if was is not None and now is not None else None
    also = ""
    if before.manifest.contents_only or after.manifest.contents_only or one.before.mode == one.after.mode:
        also = ""
    else:
        also = "; its executable bit changed too"
    filtered = evidence.filtered.get(one.path)
    if filtered is not None and filtered[0] == one.before.blob:
        return _by_filters(one, by_bytes, filtered[1])._replace(before=one.before, after=one.after)
    if one.before.mode == LINK:
        found = Cause(causes.CONTENT, f"leads to {shown_path(one.after.text)}, not to {shown_path(one.before.text)}")
    elif by_bytes is not None and by_bytes.name == causes.LFS_POINTER:
        found = by_bytes
    else:
        found = (
            _by_history(one, evidence, by_bytes) or names.collided(one) or names.swapped(one) or _least(one, by_bytes)
        )
    if found.name == causes.CONTENT and after.kind == snapshot.WORKTREE and before.kind in snapshot.IN_GIT:
        found = Cause(causes.LOCAL_EDIT, found.evidence)
    elif found.name == causes.CONTENT and evidence.committed.get(one.path) == one.after.blob:
        found = Cause(causes.LOCAL_EDIT, f"{after.stage} is as committed, {before.stage} was edited\n{found.evidence}")
    verified = found.name == causes.LFS_POINTER and was is not None and "the very content" in found.evidence
    smudged = verified and after.kind == snapshot.WORKTREE and lfs.is_pointer(was or b"") is not None
    words = "Git LFS" if smudged else ""
    return one._replace(cause=found.name, evidence=found.evidence + also, finding=not smudged, explained=words)


def _by_filters(one: Difference, by_bytes: Cause | None, words: str) -> Difference:
    """Git's own filters make the committed blob of the worktree's bytes: that is what somebody configured."""
    name = by_bytes.name if by_bytes is not None else causes.CONTENT
    evidence = f"{by_bytes.evidence}; " if by_bytes is not None else ""
    return one._replace(
        cause=name, evidence=f"{evidence}git commits it as it was ({words})", finding=False, explained=words
    )


def _by_history(one: Difference, evidence: Evidence, by_bytes: Cause | None) -> Cause | None:
    assert one.after is not None
    commit = evidence.older.get((one.path, one.after.blob))
    if not commit or (not one.after.size and by_bytes is not None):
        return None
    also = f" ({by_bytes.evidence})" if by_bytes is not None and by_bytes.name != causes.CONTENT else ""
    return Cause(causes.STALE, f"it is as in commit {commit}{also}")


def _least(one: Difference, by_bytes: Cause | None) -> Cause:
    assert one.before is not None
    assert one.after is not None
    if by_bytes is not None:
        return by_bytes
    return Cause(
        causes.CONTENT,
        f"sha256 {one.before.sha256[:12]}… became {one.after.sha256[:12]}…: the contents are not at hand",
    )


def _form(path: bytes) -> str:
    text = os.fsdecode(path)
    forms = [form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, text)]
    return forms[0] if forms else "of mixed form"


# ---------------------------------------------------------------------------------------------- notes


# ---------------------------------------------------------------------------------------------- what is carried on


def settled(hops: list[tuple[Snapshot, Snapshot, list[Difference]]]) -> list[list[Difference]]:
    """The rows of each hop once the whole chain is known.

    What git's filters make of a worktree concerns nobody as long as it stays there. Carried on to a later stage it is
    what will run, so it is a finding; undone there, the way back to what was committed is none.
    """
    found = [list(differences) for _before, _after, differences in hops]
    for at, (before, after, differences) in enumerate(hops):
        if after.kind != snapshot.WORKTREE or at + 1 == len(hops):
            continue
        last = hops[-1][1].manifest.entries
        for number, one in enumerate(differences):
            if not one.explained or one.before is None or one.after is None:
                continue
            end = last.get(one.path)
            if end is not None and (end.sha256, end.mode) == (one.after.sha256, one.after.mode):
                found[at][number] = one._replace(
                    finding=True, evidence=f"{one.evidence}; {hops[-1][1].stage} has it too"
                )
            elif end is not None and end.sha256 == one.before.sha256:
                _undone(found, one, start=at + 1, committed=before.stage)
    return found


def _undone(found: list[list[Difference]], one: Difference, *, start: int, committed: str) -> None:
    for later in found[start:]:
        for number, other in enumerate(later):
            if (
                other.path == one.path
                and other.after is not None
                and one.before is not None
                and other.after.sha256 == one.before.sha256
            ):
                words = f"as in {committed} again"
                later[number] = other._replace(finding=False, explained=words, evidence=f"{other.evidence}; {words}")
