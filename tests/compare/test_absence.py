"""Why a path is on one side of a hop only."""

from __future__ import annotations

from typing import Any

import pytest

from buildguard.compare.absence import explain_absence
from buildguard.compare.causes import CauseKind
from buildguard.compare.difference import Difference, find_differences
from buildguard.compare.hop_evidence import HopContext, HopEvidence
from buildguard.compare.name_index import NameIndex
from buildguard.stages.manifest import FILE, Manifest, of_bytes
from buildguard.stages.snapshot import Snapshot, StageKind


def _snapshot(kind: StageKind, *paths: str) -> Snapshot:
    return Snapshot(kind, kind, Manifest([of_bytes(path.encode(), FILE, path.encode()) for path in paths]))


def _explain(before: Snapshot, after: Snapshot, **evidence: Any) -> Difference:
    (row,) = find_differences(before, after)
    hop = HopContext(before, after, HopEvidence(**evidence))
    return explain_absence(row, NameIndex([row], before.manifest, after.manifest), hop)


_SENT = _snapshot(StageKind.COMMIT, "a.py"), _snapshot(StageKind.ARCHIVE)
_BUILT = _snapshot(StageKind.COMMIT, "a.py"), _snapshot(StageKind.IMAGE)
_CHECKED_OUT = _snapshot(StageKind.COMMIT, "a.py"), _snapshot(StageKind.WORKTREE)
_RULE = ".gcloudignore:1: *.py"


@pytest.mark.parametrize(
    ("hop", "evidence", "cause", "finding"),
    [
        (_SENT, {}, CauseKind.CONTENT, True),
        (_SENT, {"drops": {b"a.py": _RULE}}, CauseKind.IGNORED, True),  # code is missed, whoever left it out
        (_BUILT, {"drops": {b"a.py": _RULE}}, CauseKind.IGNORED, False),
        (_BUILT, {"copied": frozenset()}, CauseKind.IGNORED, False),
        (_BUILT, {"copied": frozenset({b"a.py"})}, CauseKind.CONTENT, True),
        (_SENT, {"unexported": {b"a.py"}}, CauseKind.EXPORT_IGNORE, True),
        (_CHECKED_OUT, {}, CauseKind.LOCAL_EDIT, True),
    ],
)
def test_a_removed_path(
    hop: tuple[Snapshot, Snapshot], evidence: dict[str, Any], cause: CauseKind, finding: bool
) -> None:
    row = _explain(*hop, **evidence)

    assert (row.cause, row.finding, bool(row.explained)) == (
        cause,
        finding,
        cause in {CauseKind.IGNORED, CauseKind.EXPORT_IGNORE},
    )


def test_a_data_file_matters_where_the_dockerfile_copies_it() -> None:
    before, after = _snapshot(StageKind.COMMIT, "a.txt"), _snapshot(StageKind.ARCHIVE)
    drops = {b"a.txt": _RULE}

    assert not _explain(before, after, drops=drops).finding
    assert _explain(before, after, drops=drops, copied=frozenset({b"a.txt"})).finding


def test_what_a_dockerfile_leaves_open_is_undecided() -> None:
    row = _explain(*_BUILT, doubts={b"a.py": "RUN may remove it (Dockerfile)"})

    assert (row.finding, row.undecided) == (False, "RUN may remove it (Dockerfile)")


@pytest.mark.parametrize(
    ("kind", "path", "cause", "finding"),
    [
        (StageKind.ARCHIVE, "b.py", CauseKind.CONTENT, True),
        (StageKind.WORKTREE, "b.py", CauseKind.LOCAL_EDIT, True),
        (StageKind.IMAGE, "b.py", CauseKind.CONTENT, True),
        (StageKind.IMAGE, "b.txt", CauseKind.CONTENT, False),  # made by the build
    ],
)
def test_an_added_path(kind: StageKind, path: str, cause: CauseKind, *, finding: bool) -> None:
    row = _explain(_snapshot(StageKind.COMMIT), _snapshot(kind, path))

    assert (row.cause, row.finding) == (cause, finding)


def test_an_added_path_of_an_older_commit_is_stale() -> None:
    after = _snapshot(StageKind.ARCHIVE, "b.py")
    blob = after.manifest.entries[b"b.py"].blob

    assert _explain(_snapshot(StageKind.COMMIT), after, older={(b"b.py", blob): "c1"}).cause is CauseKind.STALE
