"""What was renamed, moved or mixed up between two stages."""

from __future__ import annotations

import unicodedata

from buildguard.compare.causes import Cause, CauseKind
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.name_index import NameIndex
from buildguard.diagnostic import RelativePath
from buildguard.stages.manifest import FILE, LINK, Manifest, ManifestEntry, of_bytes

_COMPOSED, _DECOMPOSED = (unicodedata.normalize(form, "ü.py").encode() for form in ("NFC", "NFD"))


def _manifest(files: dict[bytes, bytes], mode: str = FILE) -> Manifest:
    return Manifest([of_bytes(path, mode, content) for path, content in files.items()])


def _change(was: ManifestEntry | None, now: ManifestEntry | None) -> ChangeKind:
    if was is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if now is None else ChangeKind.CHANGED


def _index(before: Manifest, after: Manifest) -> tuple[NameIndex, dict[bytes, Difference]]:
    rows = {}
    for path in before.entries | after.entries:
        was, now = before.entries.get(path), after.entries.get(path)
        if was != now:
            rows[path] = Difference(RelativePath(path), _change(was, now), before=was, after=now)
    return NameIndex(list(rows.values()), before, after), rows


def test_another_unicode_form_is_the_same_name() -> None:
    names, rows = _index(_manifest({_COMPOSED: b"x"}), _manifest({_DECOMPOSED: b"x"}))

    words = "the name is NFC before and NFD after, the same content"
    assert names.find_normalized(rows[_COMPOSED]) == Cause(CauseKind.NAME_NORMALIZATION, words)
    assert names.find_normalized(rows[_DECOMPOSED]) == Cause(CauseKind.NAME_NORMALIZATION, words)
    assert names.find_collision(rows[_COMPOSED]) is None


def test_a_moved_content_is_named_from_both_ends() -> None:
    names, rows = _index(_manifest({b"a": b"x", b"e": b""}), _manifest({b"b": b"x", b"f": b""}))

    assert names.find_moved(rows[b"a"]) == Cause(CauseKind.MOVED, "now b")
    assert names.find_moved(rows[b"b"]) == Cause(CauseKind.MOVED, "was a")
    assert names.find_moved(rows[b"e"]) is None


def test_links_with_one_text_are_not_moved() -> None:
    names, rows = _index(_manifest({b"a": b"x"}, LINK), _manifest({b"b": b"x"}, LINK))

    assert names.find_moved(rows[b"a"]) is None


def test_a_collision_needs_the_content_of_the_other_name() -> None:
    names, rows = _index(_manifest({b"README": b"x", b"readme": b"y"}), _manifest({b"readme": b"x"}))
    collision = names.find_collision(rows[b"readme"])
    assert collision is not None
    assert (collision.name, collision.evidence.split()[0]) == (CauseKind.CASE_COLLISION, "README")

    names, rows = _index(_manifest({b"README": b"x", b"readme": b"y"}), _manifest({b"README": b"x", b"readme": b"z"}))
    assert names.find_collision(rows[b"readme"]) is None


def test_contents_that_changed_places() -> None:
    names, rows = _index(_manifest({b"a": b"x", b"b": b"y"}), _manifest({b"a": b"y", b"b": b"x"}))

    assert names.find_swapped(rows[b"a"]) == Cause(CauseKind.MOVED, "holds what b held")
