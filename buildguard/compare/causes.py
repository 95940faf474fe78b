"""Why the content of one file differs between two stages: computed from both contents, and never guessed. Pure.

Each detector says what it sees or nothing. They stand from the most specific to the least: the first that fits is the
cause, and its evidence shows why.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Callable, Iterator

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.diagnostic import escape_text
from buildguard.stages.lfs import parse_pointer

_UTF8_BOM = b"\xef\xbb\xbf"
_LARGEST_TEXT = 16 << 20  # what is larger is compared byte by byte only
_FEWEST_ZEROS = 8
_MOST_FLIPS = 8
_MOST_LINES, _WIDEST = 6, 100
_LARGEST_DIFF = 1 << 16
_MOST_TEMPLATES, _LONGEST_EXPANSION = 4, 4096
# byte order mark, codec, name
_MARKED = (
    (_UTF8_BOM, "utf-8", "UTF-8 with BOM"),
    (b"\xff\xfe\0\0", "utf-32-le", "UTF-32"),
    (b"\0\0\xfe\xff", "utf-32-be", "UTF-32"),
    (b"\xff\xfe", "utf-16-le", "UTF-16"),
    (b"\xfe\xff", "utf-16-be", "UTF-16"),
)
_UNMARKED = (
    ("utf-8", "UTF-8"),
    ("utf-16-le", "UTF-16"),
    ("utf-16-be", "UTF-16"),
    ("cp1252", "Windows-1252"),
    ("latin-1", "Latin-1"),
)


class CauseKind(StrEnum):
    """Why a path differs between two stages; `CONTENT` where nothing more specific is known."""

    LINE_ENDINGS = "line-endings"
    BOM = "bom"
    TRANSCODED = "transcoded"
    FINAL_NEWLINE = "final-newline"
    TRUNCATED = "truncated"
    BIT_FLIP = "bit-flip"
    STALE = "stale"
    LOCAL_EDIT = "local-edit"
    LFS_POINTER = "lfs-pointer"
    KEYWORD_EXPANSION = "keyword-expansion"
    IGNORED = "ignored"
    EXPORT_IGNORE = "export-ignore"
    NAME_NORMALIZATION = "name-normalization"
    CASE_COLLISION = "case-collision"
    MODE = "mode"
    SYMLINK_REPLACED = "symlink-replaced"
    MOVED = "moved"
    CONTENT = "content"
    DAMAGED = "damaged-object"


class Cause(NamedTuple):
    """A cause, and the evidence for it."""

    name: CauseKind
    evidence: str


def find_cause(before: bytes, after: bytes) -> Cause:
    """The cause of a difference between two contents: the first that fits, else `content` with a short diff."""
    for detector in DETECTORS:
        cause = detector(before, after)
        if cause is not None:
            return cause
    return Cause(CauseKind.CONTENT, _diff(before, after))


def _lfs_pointer(before: bytes, after: bytes) -> Cause | None:
    for content, other, words in (
        (after, before, "a Git LFS pointer in place of"),
        (before, after, "in place of the Git LFS pointer:"),
    ):
        pointer = parse_pointer(content)
        if pointer is None:
            continue
        same = pointer == (hashlib.sha256(other).hexdigest(), len(other))
        what = "the very content" if same else "other content"
        return Cause(CauseKind.LFS_POINTER, f"{words} {what} ({pointer[1]} bytes)")
    return None


def _line_endings(before: bytes, after: bytes) -> Cause | None:
    if not _is_text(before, after) or _plain_lines(before) != _plain_lines(after):
        return None
    return Cause(CauseKind.LINE_ENDINGS, _endings_changed(before, after))


def _endings_changed(before: bytes, after: bytes) -> str:
    count = sum(old_end != new_end for old_end, new_end in zip(_ends(before), _ends(after), strict=False))
    return f"{_endings(before)} became {_endings(after)} in {max(count, 1)} lines"


def _bom(before: bytes, after: bytes) -> Cause | None:
    bare, other = _without_bom(before), _without_bom(after)
    if bare == other:
        return Cause(CauseKind.BOM, f"{_marks(before, bare)} before it, {_marks(after, other)} after it")
    if (
        _is_text(bare, other)
        and _marks(before, bare) != _marks(after, other)
        and _plain_lines(bare) == _plain_lines(other)
    ):
        return Cause(
            CauseKind.BOM,
            f"{_marks(before, bare)} before it, {_marks(after, other)} after it; {_endings_changed(bare, other)}",
        )
    return None


def _transcoded(before: bytes, after: bytes) -> Cause | None:
    if max(len(before), len(after)) > _LARGEST_TEXT or not before or not after:
        return None
    if _plain_lines(before) == _plain_lines(after):
        return None
    for text, name in _readings(before):
        for other, other_name in _readings(after):
            if name != other_name and _same_text(text, other):
                return Cause(CauseKind.TRANSCODED, f"the same text, {name} before and {other_name} after")
    return _double_encoded(before, after) or _replaced_letters(before, after)


def _double_encoded(before: bytes, after: bytes) -> Cause | None:
    """UTF-8 that was taken for Latin-1 and encoded again, or the way back."""
    for inner, outer, words in ((before, after, "encoded once more"), (after, before, "decoded once more")):
        for codec, name in (("latin-1", "Latin-1"), ("cp1252", "Windows-1252")):
            try:
                if outer.decode("utf-8").encode(codec) == inner and not inner.isascii():
                    return Cause(CauseKind.TRANSCODED, f"UTF-8 was taken for {name} and {words}")
            except UnicodeError:
                continue
    return None


def _replaced_letters(before: bytes, after: bytes) -> Cause | None:
    """Letters that an encoding has not, replaced."""
    try:
        text = before.decode("utf-8")
    except UnicodeError:
        return None
    lost = sum(not char.isascii() for char in text)
    for mark in ("?", "\ufffd"):
        if lost and "".join(char if char.isascii() else mark for char in text).encode("utf-8") == after:
            return Cause(CauseKind.TRANSCODED, f"{lost} letters that are not ASCII became {mark!r}")
    return None


def _keyword_expansion(before: bytes, after: bytes) -> Cause | None:
    if max(len(before), len(after)) > _LARGEST_TEXT:
        return None
    if b"$Id" in before and _bare_ids(before) == _bare_ids(after):
        return Cause(CauseKind.KEYWORD_EXPANSION, "$Id$ is filled in on one side (git's attribute ident)")
    places = re.split(rb"\$Format:([^$\n]*)\$", before)
    if len(places) == 1:
        return None
    if not _is_expansion(places, after):
        return None
    shown_places = ", ".join(
        f"$Format:{escape_text(part.decode('utf-8', 'backslashreplace'))}$" for part in places[1::2][:3]
    )
    return Cause(
        CauseKind.KEYWORD_EXPANSION, f"{shown_places} is filled in, as `git archive` does (attribute export-subst)"
    )


def _final_newline(before: bytes, after: bytes) -> Cause | None:
    if not _is_text(before, after) or not before.strip(b"\r\n") or before.rstrip(b"\r\n") != after.rstrip(b"\r\n"):
        return None
    ends = [content[len(content.rstrip(b"\r\n")) :].count(b"\n") for content in (before, after)]
    return Cause(CauseKind.FINAL_NEWLINE, f"{ends[0]} line breaks at its end before, {ends[1]} after")


def _truncated(before: bytes, after: bytes) -> Cause | None:
    if len(after) < len(before) and before.startswith(after):
        return Cause(CauseKind.TRUNCATED, f"cut at byte {len(after)} of {len(before)}")
    if len(after) == len(before):
        left = len(after.rstrip(b"\0"))
        if len(after) - left >= _FEWEST_ZEROS and before[:left] == after[:left]:
            return Cause(CauseKind.TRUNCATED, f"nothing but zeros from byte {left} of {len(before)} on")
    return None


def _bit_flip(before: bytes, after: bytes) -> Cause | None:
    if len(before) != len(after):
        return None
    places = list(_few_differing(before, after))
    if len(places) > _MOST_FLIPS or any((before[at] ^ after[at]).bit_count() != 1 for at in places):
        return None
    offsets = ", ".join(map(str, places))
    return Cause(CauseKind.BIT_FLIP, f"{len(places)} {'bit' if len(places) == 1 else 'bits'} at offset {offsets}")


DETECTORS: tuple[Callable[[bytes, bytes], Cause | None], ...] = (
    _lfs_pointer,
    _line_endings,
    _bom,
    _transcoded,
    _keyword_expansion,
    _final_newline,
    _truncated,
    _bit_flip,
)


# ------------------------------------------------------------------------------------------ what they look at


def _is_text(*contents: bytes) -> bool:
    return all(b"\0" not in content and len(content) <= _LARGEST_TEXT for content in contents)


def _plain_lines(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _ends(content: bytes) -> list[bytes]:
    return re.findall(rb"\r\n|\n|\r", content)


def _endings(content: bytes) -> str:
    names = {b"\n": "LF", b"\r\n": "CRLF", b"\r": "CR"}
    present = [names[end] for end in names if end in set(_ends(content))]
    return " and ".join(present) or "none"


def _without_bom(content: bytes) -> bytes:
    while content.startswith(_UTF8_BOM):
        content = content[len(_UTF8_BOM) :]
    return content


def _marks(content: bytes, bare: bytes) -> str:
    number = (len(content) - len(bare)) // len(_UTF8_BOM)
    return {0: "no BOM", 1: "a UTF-8 BOM"}.get(number, f"{number} UTF-8 BOMs")


def _readings(content: bytes) -> Iterator[tuple[str, str]]:
    """The texts that a content may be, each with the name of its encoding."""
    for mark, codec, name in _MARKED:
        if content.startswith(mark):
            try:
                yield content[len(mark) :].decode(codec), name
            except UnicodeError:
                continue
            return
    for codec, name in _UNMARKED:
        if codec.startswith("utf-16") and (len(content) % 2 or b"\0" not in content):
            continue
        try:
            yield content.decode(codec), name
        except UnicodeError:
            continue


def _same_text(text: str, other: str) -> bool:
    if text == other:
        return True
    return text.replace("\r\n", "\n").replace("\r", "\n") == other.replace("\r\n", "\n").replace("\r", "\n")


def _bare_ids(content: bytes) -> bytes:
    return re.sub(rb"\$Id(?::[^$\n]*)?\$", b"$Id$", content)


_HEX = rb"[0-9a-f]{4,64}"
_EXPANSIONS = {
    **dict.fromkeys((b"%H", b"%h", b"%T", b"%t"), _HEX),
    **dict.fromkeys((b"%P", b"%p"), rb"(?:[0-9a-f]{4,64} ?)*"),
    **dict.fromkeys((b"%at", b"%ct"), rb"\d{1,12}"),
    b"%n": rb"\n",
    b"%%": rb"%",
}


def _is_expansion(places: list[bytes], after: bytes) -> bool:
    """Whether a content is the literal parts of another one with something plausible for each template between them."""
    if not after.startswith(places[0]):
        return False
    at = len(places[0])
    for number in range(1, len(places), 2):
        template, literal = places[number], places[number + 1]
        last = number + 2 == len(places)
        end = len(after) - len(literal) if last and after.endswith(literal) else after.find(literal, at)
        if end < at or (last and end + len(literal) != len(after)) or not _may_expand_to(template, after[at:end]):
            return False
        at = end + len(literal)
    return True


def _may_expand_to(template: bytes, text: bytes) -> bool:
    """Whether `git archive` may put a text for a template."""
    parts = re.split(rb"(%(?:[aci]?[A-Z]|[ac][a-zA-Z]|[a-zA-Z%]|[(][^)]*[)][^%]*))", template)
    if len(parts) > 2 * _MOST_TEMPLATES or len(text) > _LONGEST_EXPANSION:
        return False
    pattern = b"".join(_EXPANSIONS.get(part, rb".*?") if at % 2 else re.escape(part) for at, part in enumerate(parts))
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def _few_differing(before: bytes, after: bytes) -> Iterator[int]:
    """The first offsets at which two contents of one length differ; block by block, so that large ones cost little."""
    block = 1 << 16
    differing = 0
    for start in range(0, len(before), block):
        left, right = before[start : start + block], after[start : start + block]
        if left == right:
            continue
        for at in range(len(left)):
            if left[at] != right[at]:
                yield start + at
                differing += 1
                if differing > _MOST_FLIPS:
                    return


def _diff(before: bytes, after: bytes) -> str:
    """A short unified diff of two texts; of what is no text, sizes and the first byte that differs."""
    if not _is_text(before, after) or max(len(before), len(after)) > _LARGEST_DIFF:
        first = next(
            (at for at in range(min(len(before), len(after))) if before[at] != after[at]), min(len(before), len(after))
        )
        return f"{len(before)} bytes became {len(after)}, the first other one at offset {first}"
    lines = difflib.unified_diff(_lines(before), _lines(after), lineterm="", n=0)
    kept = [line[:_WIDEST] for line in lines if not line.startswith(("---", "+++"))]
    more = f"\n… and {len(kept) - _MOST_LINES} more lines" if len(kept) > _MOST_LINES else ""
    return "\n".join(kept[:_MOST_LINES]) + more


def _lines(content: bytes) -> list[str]:
    return [escape_text(line) for line in content.decode("utf-8", "backslashreplace").split("\n")]
