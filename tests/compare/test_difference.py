"""The judge of a hop by hand: each row with its cause, its words, and whether a person asked for it."""

from __future__ import annotations

import hashlib
import unicodedata
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from buildguard.compare import difference, hop_notes
from buildguard.compare.causes import CauseKind
from buildguard.compare.chain import ComparedHop, settle_chain
from buildguard.compare.explain import explain_differences
from buildguard.compare.hop_evidence import HopEvidence
from buildguard.diagnostic import DisplayPath, Unproven
from buildguard.stages.manifest import EXECUTABLE, FILE, LINK, SUBMODULE, Extras, Manifest, ManifestEntry, of_bytes
from buildguard.stages.snapshot import Snapshot, StageKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_ID = b"1" * 40


def _snapshot(
    files: Mapping[str, bytes | tuple[str, bytes]],
    kind: StageKind = StageKind.ARCHIVE,
    *,
    extras: Extras = Extras(),  # noqa: B008
    contents_only: bool = False,
    unproven: tuple[str, ...] = (),
    closed: tuple[bytes, ...] = (),
) -> Snapshot:
    pairs = {path: one if isinstance(one, tuple) else (FILE, one) for path, one in files.items()}
    entries: list[ManifestEntry] = [of_bytes(path.encode(), mode, content) for path, (mode, content) in pairs.items()]
    lost = tuple(Unproven(DisplayPath(path), None, "cannot be read") for path in unproven)
    return Snapshot(kind, kind, Manifest(entries, extras, contents_only=contents_only), unproven=lost, closed=closed)


def _told(one: Snapshot, other: Snapshot, /, **evidence: object) -> dict[str, tuple[str, str, str, bool]]:
    """Change, cause, evidence and whether it is a finding, by path."""
    found = explain_differences(difference.find_differences(one, other), one, other, HopEvidence(**evidence))  # type: ignore[arg-type]
    assert all(bool(row.explained) != row.finding for row in found)
    return {row.path.decode(): (row.change, row.cause, row.evidence, row.finding) for row in found}


def test_executable_bits() -> None:
    one, other = _snapshot({"a": b"x", "b": (EXECUTABLE, b"x")}), _snapshot({"a": (EXECUTABLE, b"x"), "b": b"x"})

    assert _told(one, other) == {
        "a": ("mode", CauseKind.MODE, "became executable", True),
        "b": ("mode", CauseKind.MODE, "lost its executable bit", True),
    }
    assert {row[3] for row in _told(one, other, no_modes="core.fileMode").values()} == {False}
    assert _told(_snapshot({"a": b"x"}, contents_only=True), other).keys() == {"b"}
    changed = _told(_snapshot({"a": b"x"}), _snapshot({"a": (EXECUTABLE, b"y")}))
    assert changed["a"][2].endswith("; its executable bit changed too")


def test_links_and_files() -> None:
    link, file = _snapshot({"a": (LINK, b"target")}), _snapshot({"a": b"target"})

    assert _told(link, file)["a"] == (
        "type", CauseKind.SYMLINK_REPLACED, "a symlink became a file that holds the link's text, target", True,
    )  # fmt: skip
    assert _told(file, link)["a"][2] == "a file became a symlink that holds the link's text, target"
    assert _told(link, file, no_links="core.symlinks")["a"][3] is False
    copied = _snapshot({"a": b"the content"})
    words = "a symlink became a file; the link leads to target"
    assert _told(link, copied, no_links="core.symlinks")["a"] == ("type", CauseKind.SYMLINK_REPLACED, words, True)
    assert _told(copied, link)["a"][2] == "a file became a symlink; the link leads to target"
    bare = link._replace(manifest=Manifest([link.manifest.entries[b"a"]._replace(text=b"")]))
    assert _told(bare, copied)["a"][2] == "a symlink became a file"
    assert _told(bare, copied, before={b"a": b"elsewhere"})["a"][2].endswith("; the link leads to elsewhere")
    assert _told(link, _snapshot({"a": (LINK, b"other")}))["a"][2] == "leads to other, not to target"
    module = _told(_snapshot({"a": (SUBMODULE, _ID)}), copied)["a"]
    assert module == ("type", CauseKind.CONTENT, "a submodule became a file", True)


def test_names_elsewhere() -> None:
    moved = _told(_snapshot({"a": b"x", "e": b""}), _snapshot({"b": b"x", "f": b""}))
    assert (moved["a"][1:3], moved["b"][1:3]) == ((CauseKind.MOVED, "now b"), (CauseKind.MOVED, "was a"))
    assert moved["e"][1] == moved["f"][1] == CauseKind.CONTENT  # every empty file is every other one
    links = _told(_snapshot({"a": (LINK, b"x")}), _snapshot({"b": (LINK, b"x")}))
    assert {row[1] for row in links.values()} == {CauseKind.CONTENT}
    swapped = _told(_snapshot({"a": b"x", "b": b"y", "c": b"z"}), _snapshot({"a": b"y", "b": b"x", "c": b"z"}))
    assert swapped == {
        "a": ("changed", CauseKind.MOVED, "holds what b held", True),
        "b": ("changed", CauseKind.MOVED, "holds what a held", True),
    }


@pytest.mark.parametrize("content", [b"x", b"y"])
def test_names_in_another_form(content: bytes) -> None:
    composed, apart = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
    found = _told(_snapshot({composed: b"x"}), _snapshot({apart: content}))

    same = "the same content" if content == b"x" else "and other content"
    words = f"the name is NFC before and NFD after, {same}"
    assert {row[1:3] for row in found.values()} == {(CauseKind.NAME_NORMALIZATION, words)}
    mixed = composed + apart
    odd = _told(_snapshot({composed * 2: b"x"}), _snapshot({mixed: b"x"}))
    assert {row[2] for row in odd.values()} == {"the name is NFC before and of mixed form after, the same content"}


def test_names_that_a_disk_does_not_tell_apart() -> None:
    lost = _told(_snapshot({"README": b"x", "readme": b"y"}), _snapshot({"readme": b"x"}))
    words = "is the same name on a disk that ignores case"
    assert lost["README"][1:3] == (CauseKind.CASE_COLLISION, f"readme {words}")
    assert lost["readme"][1:3] == (CauseKind.CASE_COLLISION, f"README {words}")
    other = _told(_snapshot({"README": b"x", "readme": b"y"}), _snapshot({"README": b"x", "readme": b"z"}))
    assert other["readme"][1] == CauseKind.CONTENT


def test_what_somebody_dropped() -> None:
    before, after = _snapshot({"a.py": b"x", "a.txt": b"y"}, StageKind.COMMIT), _snapshot({})
    drops = {b"a.py": ".gcloudignore:1: *", b"a.txt": ".gcloudignore:1: *"}
    words = "dropped by .gcloudignore:1: *"

    found = explain_differences(difference.find_differences(before, after), before, after, HopEvidence(drops=drops))
    assert [(one.cause, one.evidence, one.finding, one.explained) for one in found] == [
        (CauseKind.IGNORED, words, True, ".gcloudignore:1: *"),
        (CauseKind.IGNORED, words, False, ".gcloudignore:1: *"),
    ]
    found = explain_differences(
        difference.find_differences(before, after),
        before,
        after,
        HopEvidence(drops=drops, copied=frozenset({b"a.txt"})),
    )
    assert [one.finding for one in found] == [True, True]
    exported = explain_differences(
        difference.find_differences(before, after), before, after, HopEvidence(unexported={b"a.txt"})
    )
    assert [(one.cause, one.finding) for one in exported] == [
        (CauseKind.CONTENT, True),
        (CauseKind.EXPORT_IGNORE, False),
    ]
    assert _told(before, after)["a.txt"][2:] == ("not in archive", True)


def test_what_an_image_lacks_or_has_more() -> None:
    before, image = (
        _snapshot({"a.py": b"x", "b.txt": b"y"}, StageKind.COMMIT),
        _snapshot({"c.py": b"1", "d.txt": b"2"}, StageKind.IMAGE),
    )

    found = _told(before, image, copied=frozenset({b"a.py"}))
    assert found["a.py"][1:] == (CauseKind.CONTENT, "not in image", True)
    assert found["b.txt"][1:] == (CauseKind.IGNORED, "the Dockerfile copies it nowhere, or removes it", False)
    assert found["c.py"][1:] == (CauseKind.CONTENT, "only in image", True)
    assert found["d.txt"][1:] == (CauseKind.CONTENT, "only in image", False)
    assert _told(before, image)["b.txt"][3] is True
    dropped = _told(before, image, drops={b"a.py": ".dockerignore:1: *"})
    assert dropped["a.py"][1:] == (CauseKind.IGNORED, "dropped by .dockerignore:1: *", False)
    archive = _told(before, _snapshot({"d.txt": b"2"}), copied=frozenset({b"a.py"}))
    assert (archive["b.txt"][2:], archive["d.txt"][3]) == (("not in archive", True), True)


@pytest.mark.parametrize("kind", [StageKind.COMMIT, StageKind.INDEX, StageKind.FOLDER])
def test_what_somebody_edits(kind: StageKind) -> None:
    before, after = _snapshot({"a": b"x", "b": b"x1"}, kind), _snapshot({"c": b"z", "b": b"x2"}, StageKind.WORKTREE)

    found = _told(before, after)

    edited = kind is not StageKind.FOLDER
    assert {row[1] for row in found.values()} == {CauseKind.LOCAL_EDIT if edited else CauseKind.CONTENT}
    assert found["a"][2] == ("deleted in the working tree" if edited else "not in worktree")
    assert found["c"][2] == (f"not in {kind}" if edited else "only in worktree")
    assert {row[1] for row in _told(before, after._replace(kind=StageKind.ARCHIVE)).values()} == {CauseKind.CONTENT}
    back = _told(after, before, committed={b"b": before.manifest.entries[b"b"].blob})
    assert back["b"][1] == CauseKind.LOCAL_EDIT
    assert back["b"][2].startswith(f"{kind} is as committed, worktree was edited\n")
    assert _told(after, before, committed={b"b": "another"})["b"][1] == CauseKind.CONTENT


@pytest.mark.parametrize(("is_committed", "cause"), [(True, CauseKind.LOCAL_EDIT), (False, CauseKind.TRUNCATED)])
def test_an_archive_as_committed_is_not_truncated(cause: CauseKind, *, is_committed: bool) -> None:
    worktree, archive = (
        _snapshot({"b": b"x = 1\ny\n"}, StageKind.WORKTREE),
        _snapshot({"b": b"x = 1\n"}, StageKind.ARCHIVE),
    )
    blob = archive.manifest.entries[b"b"].blob if is_committed else "another"
    evidence = HopEvidence({b"b": b"x = 1\ny\n"}, {b"b": b"x = 1\n"}, committed={b"b": blob})

    [row] = explain_differences(difference.find_differences(worktree, archive), worktree, archive, evidence)

    assert row.cause is cause
    assert "cut at byte 6 of 8" in row.evidence


def test_what_is_older() -> None:
    before, after = _snapshot({"a": b"new"}), _snapshot({"a": b"old", "b": b"gone"})
    older = {(b"a", after.manifest.entries[b"a"].blob): "c1", (b"b", after.manifest.entries[b"b"].blob): "c2"}

    found = _told(before, after, older=older)

    assert found["a"][1:3] == (CauseKind.STALE, "it is as in commit c1")
    assert found["b"][1:3] == (CauseKind.STALE, "it is from commit c2, and was removed since")
    with_bytes = _told(before, after, older=older, before={b"a": b"new"}, after={b"a": b"old"})
    assert with_bytes["a"][:2] == ("changed", CauseKind.STALE)
    empty = _snapshot({"a": b""})
    cut = {(b"a", empty.manifest.entries[b"a"].blob): "c1"}
    assert _told(before, empty, older=cut, before={b"a": b"new"}, after={b"a": b""})["a"][1] != CauseKind.STALE
    assert _told(before, empty, older=cut)["a"][1] == CauseKind.STALE
    assert _told(before, _snapshot({"a": b"other"}))["a"][2].endswith("the contents are not at hand")


def test_what_git_filters() -> None:
    before, after = _snapshot({"a": b"x\n"}, StageKind.COMMIT), _snapshot({"a": b"x\r\n"}, StageKind.WORKTREE)
    blob = before.manifest.entries[b"a"].blob

    bare = _told(before, after, filtered={b"a": (blob, "autocrlf")})
    assert bare["a"] == ("changed", CauseKind.CONTENT, "git commits it as it was (autocrlf)", False)
    told = _told(before, after, filtered={b"a": (blob, "autocrlf")}, before={b"a": b"x\n"}, after={b"a": b"x\r\n"})
    assert told["a"][1] == CauseKind.LINE_ENDINGS
    assert told["a"][2].endswith("; git commits it as it was (autocrlf)")
    assert _told(before, after, filtered={b"a": ("another", "autocrlf")})["a"][3] is True


def test_what_nobody_could_look_at_is_no_row() -> None:
    before = _snapshot({"a/b/c": b"x", "d": b"y", "abc": b"z"})

    assert _told(before, _snapshot({}, unproven=("a/b",))).keys() == {"d", "abc"}
    assert _told(before, _snapshot({}, unproven=("a",))).keys() == {"d", "abc"}
    assert _told(before, _snapshot({}, unproven=("a/b/c", "d"))).keys() == {"abc"}
    assert _told(_snapshot({}, unproven=("ab",)), before).keys() == {"a/b/c", "d", "abc"}
    assert _told(before, _snapshot({}, StageKind.UNREAD)) == {}


def test_what_a_stage_has_no_words_for() -> None:
    full = _snapshot({"l": (LINK, b"a"), "x": (EXECUTABLE, b"b"), "a": b"c", "m": (SUBMODULE, _ID)})
    sums = _snapshot({"x": b"b", "a": b"c"}, contents_only=True)

    assert _told(full, sums) == {}
    assert [(one.path, one.reason) for one in difference.list_incomparable(full, sums)] == [
        ("l", "a symbolic link, which archive cannot tell"),
        ("x", "executable, which archive cannot tell"),
    ]
    assert list(difference.list_incomparable(full, full)) == []
    assert list(difference.list_incomparable(sums, sums)) == []
    files = _snapshot({"m/f": b"1", "l": (LINK, b"a"), "x": (EXECUTABLE, b"b"), "a": b"c"})
    closed = full._replace(closed=(b"m/",))
    assert _told(closed, files) == {}
    assert [one.reason for one in difference.list_incomparable(closed, files)] == [
        "its submodule's files are not known to archive"
    ]
    assert _told(closed, _snapshot({"l": (LINK, b"a"), "x": (EXECUTABLE, b"b"), "a": b"c"})).keys() == {"m"}


def test_notes_tell_what_git_does_not_record() -> None:
    many = frozenset(f"f{number}".encode() for number in range(7))
    one = _snapshot(
        {}, extras=Extras(folders=many, special={b"p": "fifo"}, modes={b"a": 0o644, b"b": 0o644, b"c": 0o755})
    )
    other = _snapshot(
        {}, StageKind.FOLDER,
        extras=Extras(folders=frozenset({b"g"}), special={b"q": "socket"}, modes={b"a": 0o600, b"b": 0o755, b"c": 0o700},
                      twins={b"t": b"u"}, whole=True),
    )  # fmt: skip

    assert hop_notes.notes(one, other) == [
        "empty folders not in folder: f0, f1, f2, f3, f4 … and 2 more",
        "special files not in folder: p (fifo)",
        "empty folders only in folder: g",
        "special files only in folder: q (socket)",
        "permissions 0644 became 0600: a",
        "permissions 0755 became 0700: c",
        "hard links: t",
    ]
    unlooked = other._replace(manifest=Manifest([], other.manifest.extras._replace(whole=False)))
    assert "empty folders not in folder" not in " ".join(hop_notes.notes(one, unlooked))
    five = _snapshot({}, extras=Extras(folders=frozenset([*many][:5]), whole=True))
    assert "more" not in " ".join(hop_notes.notes(five, _snapshot({}, extras=Extras(whole=True))))


def test_what_is_carried_on_and_what_is_undone() -> None:
    commit = _snapshot({"a": b"x\n", "b": b"y\n", "c": b"z\n", "d": b"w\n"}, StageKind.COMMIT)
    crlf = {"a": b"x\r\n", "b": b"y\r\n", "c": b"z\r\n", "d": b"w\r\n"}
    worktree = _snapshot(crlf, StageKind.WORKTREE)
    archive = _snapshot({"a": b"x\r\n", "b": b"y\n", "c": b"other\n"})
    filtered = {path: (one.blob, "autocrlf") for path, one in commit.manifest.entries.items()}
    first = explain_differences(
        difference.find_differences(commit, worktree), commit, worktree, HopEvidence(filtered=filtered)
    )
    second = explain_differences(difference.find_differences(worktree, archive), worktree, archive, HopEvidence())

    one, two = settle_chain([ComparedHop(commit, worktree, first), ComparedHop(worktree, archive, second)])

    by_path: dict[bytes, difference.Difference] = {row.path: row for row in one}
    assert [by_path[path].finding for path in (b"a", b"b", b"c", b"d")] == [True, False, False, False]
    assert by_path[b"a"].evidence.endswith("; archive has it too")
    later: dict[bytes, difference.Difference] = {row.path: row for row in two}
    assert (later[b"b"].finding, later[b"b"].explained) == (False, "as in commit again")
    assert later[b"b"].evidence.endswith("; as in commit again")
    assert (later[b"c"].finding, later[b"d"].finding) == (True, True)
    alone = settle_chain([ComparedHop(commit, worktree, first)])
    assert [row.finding for row in alone[0]] == [False] * 4


def _pointer(content: bytes) -> bytes:
    digest = hashlib.sha256(content).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n".encode()


@pytest.mark.parametrize(
    ("was", "now", "kind", "finding"),
    [
        (_pointer(b"large"), b"large", StageKind.WORKTREE, False),
        (_pointer(b"large"), b"large", StageKind.ARCHIVE, True),
        (_pointer(b"large"), b"other", StageKind.WORKTREE, True),
        (b"large", _pointer(b"large"), StageKind.WORKTREE, True),
    ],
)
def test_a_pointer_and_the_content_that_it_means(was: bytes, now: bytes, kind: StageKind, finding: bool) -> None:
    before, after = _snapshot({"a": was}, StageKind.COMMIT), _snapshot({"a": now}, kind)

    found = explain_differences(
        difference.find_differences(before, after), before, after, HopEvidence(before={b"a": was}, after={b"a": now})
    )

    assert [(one.finding, one.explained) for one in found] == [(finding, "" if finding else "Git LFS")]
    assert found[0].cause == CauseKind.LFS_POINTER
    unseen = explain_differences(difference.find_differences(before, after), before, after, HopEvidence())
    assert [one.finding for one in unseen] == [True]


def test_of_several_names_the_one_counts_that_was_mixed_up() -> None:
    composed, apart = (unicodedata.normalize(form, "ü") for form in ("NFC", "NFD"))
    found = _told(_snapshot({composed: b"x", apart: b"y", composed.upper(): b"z"}), _snapshot({apart: b"y"}))
    assert found[composed][1:3] == (
        CauseKind.CASE_COLLISION,
        f"{composed.upper()} is the same name on a disk that ignores case",
    )
    took = _told(_snapshot({"README": b"x", "Readme": b"q", "readme": b"y"}), _snapshot({"readme": b"q"}))
    assert took["readme"][2].startswith("Readme is the same name")
    three = _told(_snapshot({"a": b"x", "A": b"y", "b": b"1"}), _snapshot({"a": b"y", "b": b"1"}))
    assert (three["a"][1], three["A"][1]) == (CauseKind.CASE_COLLISION, CauseKind.CASE_COLLISION)
    kept = _told(_snapshot({"a": b"x", "b": b"y"}), _snapshot({"a": b"y", "c": b"x"}))
    assert (kept["a"][1], kept["b"][1]) == (CauseKind.CONTENT, CauseKind.CONTENT)


def test_a_content_that_did_not_go_was_not_moved() -> None:
    changed = _told(_snapshot({"a": b"x", "b": b"y"}), _snapshot({"a": b"y", "c": b"y"}))
    assert changed["b"][1:3] == (CauseKind.MOVED, "now c")
    assert changed["c"][1:3] == (CauseKind.MOVED, "was b")
    other = _told(_snapshot({"a": b"x", "b": b"y"}), _snapshot({"a": b"z", "c": b"x"}))
    assert other["c"][1] == CauseKind.CONTENT
    one = _told(_snapshot({"a": b"x", "b": b"z"}), _snapshot({"a": b"z"}))
    assert one["b"][1] == CauseKind.CONTENT
    empty = _told(_snapshot({"a": b"x", "b": b""}), _snapshot({"a": b"", "b": b"x"}))
    assert (empty["a"][1], empty["b"][1:3]) == (CauseKind.CONTENT, (CauseKind.MOVED, "holds what a held"))


def test_a_bit_that_one_side_cannot_tell_is_not_told() -> None:
    sums, full = _snapshot({"a": b"x"}, contents_only=True), _snapshot({"a": (EXECUTABLE, b"y")})
    assert "executable" not in _told(sums, full)["a"][2]
    assert "executable" not in _told(full, sums)["a"][2]


def test_history_beside_what_the_bytes_tell() -> None:
    before, after = _snapshot({"a": b"x\n"}), _snapshot({"a": b"x\r\n", "b": b"2"})
    older = {(b"a", after.manifest.entries[b"a"].blob): "c1"}
    told = _told(before, after, older=older, before={b"a": b"x\n"}, after={b"a": b"x\r\n"})
    assert told["a"][2].startswith("it is as in commit c1 (")
    plain = _told(
        before, _snapshot({"a": b"other"}), older={(b"a", of_bytes(b"a", FILE, b"other").blob): "c1"},
        before={b"a": b"x\n"}, after={b"a": b"other"},
    )  # fmt: skip
    assert plain["a"][2] == "it is as in commit c1"


def test_notes_of_six_names_and_of_other_people_s_bits() -> None:
    six = frozenset(f"f{number}".encode() for number in range(6))
    found = hop_notes.notes(_snapshot({}, extras=Extras(folders=six)), _snapshot({}, extras=Extras(whole=True)))
    assert found == ["empty folders not in archive: f0, f1, f2, f3, f4 … and 1 more"]
    modes = [_snapshot({}, extras=Extras(modes={b"a": mode})) for mode in (0o644, 0o645)]
    assert hop_notes.notes(*modes) == ["permissions 0644 became 0645: a"]
    assert hop_notes.notes(*modes[::-1]) == ["permissions 0645 became 0644: a"]


def test_only_the_row_of_the_path_is_undone() -> None:
    """Through four stages: the worktree is neither the first hop nor the only one with rows."""
    index = _snapshot({"0": b"0", "a": b"x\n", "b": b"y\n", "new": b"1", "e": b"e\n", "no.txt": b"n"}, StageKind.INDEX)
    commit = _snapshot({"0": b"0", "a": b"old", "b": b"y\n", "e": b"old", "no.txt": b"n"}, StageKind.COMMIT)
    worktree = _snapshot({"0": b"1", "a": b"x\r\n", "b": b"y\r\n", "e": b"x\n"}, StageKind.WORKTREE)
    folder = _snapshot({"0": b"1", "a": b"x\r\n", "b": b"x\n", "e": b"x\n"}, StageKind.FOLDER)
    archive = _snapshot({"0": b"1", "a": b"x\n", "b": b"y\r\n", "e": b"x\n", "no.txt": b"n"})
    filtered = {path: (one.blob, "autocrlf") for path, one in index.manifest.entries.items() if path in {b"a", b"b"}}
    hops = []
    for one, other in pairwise([commit, index, worktree, folder, archive]):
        evidence = HopEvidence(filtered=filtered, drops={b"no.txt": "a rule"}) if other is worktree else HopEvidence()
        hops.append(
            ComparedHop(one, other, explain_differences(difference.find_differences(one, other), one, other, evidence))
        )

    found = settle_chain(hops)

    told = [{row.path: (row.finding, row.explained) for row in rows} for rows in found]
    assert told[0] == {b"a": (True, ""), b"new": (True, ""), b"e": (True, "")}
    assert told[1] == {
        b"0": (True, ""),
        b"a": (False, "autocrlf"),
        b"b": (True, "autocrlf"),
        b"new": (True, ""),
        b"e": (True, ""),
        b"no.txt": (False, "a rule"),
    }
    assert told[2] == {b"b": (True, "")}
    assert told[3] == {b"a": (False, "as in index again"), b"b": (True, ""), b"no.txt": (True, "")}
    words: dict[bytes, str] = {row.path: row.evidence for row in found[1]}
    assert words[b"b"].endswith("; archive has it too")
    assert [path for path, one in words.items() if "has it too" in one] == [b"b"]
