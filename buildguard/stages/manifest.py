r"""Manifests: every entry of a stage with its digests, one order, one root digest, and the forms that they are written in.

Three forms exist. *Rows* are the canonical one: `MODE SP SIZE SP SHA256 TAB PATH NUL` for each entry, ordered by the
bytes of the path as git orders them; a path holds no NUL, so no two manifests have equal rows, and the SHA-256 of the
rows is the root digest. *JSON* carries everything. *SHA256SUMS* is for people: `sha256sum -c --strict` verifies it
without us, and it has no modes, links or submodules.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NewType

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import RelativePath, display_path
from buildguard.errors import UnprovenError
from buildguard.remote import manifest_rows

FILE, EXECUTABLE, LINK, SUBMODULE = MODES = manifest_rows.MODES
TYPES = {FILE: "file", EXECUTABLE: "file", LINK: "symlink", SUBMODULE: "submodule"}
CARRIED, ASIDE, OWN = manifest_rows.CARRIED, manifest_rows.QUESTIONS, manifest_rows.OWN
trouble_with = manifest_rows.trouble_with
_SUM = lazy_pattern(rb"(\\?)([0-9a-f]{64})  (.+)", re.DOTALL)
_ESCAPED = lazy_pattern(rb"[\\\n\r]")
EMPTY = "empty folder"
SHA1_DIGITS = 40

# A SHA-256 as manifests write it: 64 hexadecimal digits.
Sha256 = NewType("Sha256", str)


def known_mode(mode: str) -> str:
    """A mode of git as manifests have it: old repositories contain 100664."""
    return mode if mode in MODES else FILE


class ManifestEntry(NamedTuple):
    """One path of a stage.

    `mode` is git's: 100644, 100755, 120000 for a symbolic link, 160000 for a submodule. `sha256` (hexadecimal) and `size`
    are of the content; of a link's text, and of a submodule's commit id, which are also in `text`. `blob` is git's
    SHA-1 blob id, empty if it was not requested.
    """

    path: RelativePath
    mode: str
    size: int
    sha256: Sha256
    blob: str = ""
    text: bytes = b""

    @property
    def type(self) -> str:
        """`file`, `symlink` or `submodule`."""
        return TYPES[self.mode]


class Extras(NamedTuple):
    """What git does not know of: recorded where a stage has it, compared as notes.

    `folders` are the empty ones, `special` the kind of each FIFO, device or socket, `modes` full permission bits,
    `twins` the other name of each hard link, empty where it is not known. `whole` where the stage was looked through for all of these.
    """

    folders: frozenset[bytes] = frozenset()
    special: Mapping[bytes, str] = MappingProxyType({})
    modes: Mapping[bytes, int] = MappingProxyType({})
    twins: Mapping[bytes, bytes] = MappingProxyType({})
    whole: bool = False


_NO_EXTRAS = Extras()


class Manifest:
    """All entries of a stage by path, in git's order; `contents_only` where modes and links are not known."""

    def __init__(
        self, entries: Iterable[ManifestEntry], extras: Extras = _NO_EXTRAS, *, contents_only: bool = False
    ) -> None:
        """Raises UnprovenError where a path is there twice."""
        ordered = sorted(entry for entry in entries if entry.path not in OWN)
        self.entries: dict[bytes, ManifestEntry] = {entry.path: entry for entry in ordered}
        self.extras = extras
        self.contents_only = contents_only
        if len(self.entries) != len(ordered):
            twice = next(a.path for a, b in pairwise(ordered) if a.path == b.path)
            raise UnprovenError(f"{display_path(twice)} is listed twice")

    def rows(self) -> bytes:
        """The canonical form."""
        # an entry begins with the fields of a row
        return manifest_rows.as_bytes(self.entries.values())  # type: ignore[arg-type]

    @property
    def digest(self) -> str:
        """The root digest, `sha256:…` over the rows: equal exactly where all entries are."""
        return f"sha256:{hashlib.sha256(self.rows()).hexdigest()}"

    def sums(self) -> bytes:
        """The regular files as `sha256sum` writes them, names with a backslash or a line break escaped as it does."""
        odd = set(self.odd())
        if not odd and b"-" not in self.entries:
            files = [entry for entry in self.entries.values() if entry.mode in {FILE, EXECUTABLE}]
            return b"".join([b"%b  %b\n" % (entry.sha256.encode(), entry.path) for entry in files])
        lines = []
        for path, entry in self.entries.items():
            if entry.mode in {FILE, EXECUTABLE}:
                # by the name - alone sha256sum would read its standard input
                mark, name = (b"\\", _escape(path)) if path in odd else (b"", b"./-" if path == b"-" else path)
                lines.append(b"%b%b  %b\n" % (mark, entry.sha256.encode(), name))
        return b"".join(lines)

    def odd(self) -> list[bytes]:
        """The names of files that only GNU's `sha256sum` reads back: BusyBox does not know its escapes."""
        if not _is_odd(b"/".join(self.entries)):
            return []
        return [path for path, entry in self.entries.items() if entry.type == "file" and _is_odd(path)]

    def unsummed(self) -> list[bytes]:
        """The links and submodules, which SHA256SUMS cannot tell."""
        return [path for path, entry in self.entries.items() if entry.type != "file"]


def _is_odd(path: bytes) -> bool:
    return _ESCAPED.search(path) is not None


def _escape(path: bytes) -> bytes:
    return path.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


def of_bytes(path: bytes, mode: str, content: bytes, oid: str = "") -> ManifestEntry:
    """The entry of a path whose content is at hand: a file's bytes, a link's text, a submodule's commit id.

    `oid` is its object id in git where the content was compared with that: a SHA-1 one need not be computed again.
    """
    text = content if mode in {LINK, SUBMODULE} else b""
    blob = oid if len(oid) == SHA1_DIGITS else blob_id(content)
    return ManifestEntry(RelativePath(path), mode, len(content), sha256_of(content), blob, text)


def sha256_of(content: bytes) -> Sha256:
    """The SHA-256 of some bytes."""
    return Sha256(hashlib.sha256(content).hexdigest())


def blob_id(content: bytes) -> str:
    """Git's SHA-1 id of a blob."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


# ------------------------------------------------------------------------------------------ reading back


def parse(data: bytes, name: str) -> Manifest:
    """A manifest in any of its three forms, told apart by how it begins.

    Raises UnprovenError for anything that the writer would not have written: a path twice, out of the root or out of
    order, a bad digest or escape, rows cut short.
    """
    try:
        if data.startswith(b"{"):
            return _from_json(data)
        if b"\0" in data[: manifest_rows.LONGEST_PATH + 128]:
            return Manifest(map(_of_row, manifest_rows.rows_of(data)))
        return Manifest(_from_sums(data), contents_only=True)
    except (ValueError, KeyError, TypeError) as error:
        raise UnprovenError(f"{name} is no manifest: {error}") from error
    except UnprovenError as error:
        raise UnprovenError(f"{name} is no manifest: {error.what}") from error


def _from_sums(data: bytes) -> Iterator[ManifestEntry]:
    lines = data.split(b"\n")
    if lines.pop():
        raise ValueError("its last line is cut short")
    for line in lines:
        match = _SUM.fullmatch(line)
        if match is None:
            raise ValueError(f"'{display_path(line[:80])}' is no line of sha256sum")
        escaped, digest, name = match.groups()
        path = _unescape(name) if escaped else name
        if bool(escaped) != _is_odd(path) or (b"\\" in name and not escaped):
            raise ValueError(f"'{display_path(name)}' is escaped wrongly")
        yield _entry(b"-" if path == b"./-" else path, FILE, "0", digest.decode("ascii"))


def _unescape(name: bytes) -> bytes:
    known = {b"\\\\": b"\\", b"\\n": b"\n", b"\\r": b"\r"}

    def value(match: re.Match[bytes]) -> bytes:
        if match[0] not in known:
            raise ValueError(f"'{display_path(name)}' holds an escape that is none")
        return known[match[0]]

    return re.sub(rb"\\.?", value, name, flags=re.DOTALL)


def _from_json(data: bytes) -> Manifest:
    import json

    document = json.loads(data, object_pairs_hook=_no_duplicates)
    if document["schema"] != 1:
        raise ValueError(f"schema {document['schema']} is not known")
    if document["unproven"] or any("code" in fields for fields in document.get("findings", [])):
        raise ValueError("it was written without all of its entries, and says so itself")
    rows = [(_from_object(fields), fields) for fields in document["entries"]]
    entries = [entry for entry, _fields in rows]
    manifest = Manifest(entries, _extras(document, rows), contents_only=document.get("contents_only") is True)
    if manifest.digest != document["digest"]:
        raise ValueError(f"its entries give {manifest.digest}, and it says {document['digest']}")
    return manifest


def _extras(document: Mapping[str, Any], rows: Iterable[tuple[ManifestEntry, Mapping[str, Any]]]) -> Extras:
    others = {_text(fields, "path"): str(fields["kind"]) for fields in document.get("others", [])}
    return Extras(
        frozenset(path for path, kind in others.items() if kind == EMPTY),
        {path: kind for path, kind in others.items() if kind != EMPTY},
        {entry.path: int(fields["permissions"], 8) for entry, fields in rows if "permissions" in fields},
        {entry.path: _text(fields, "hard_link_of") for entry, fields in rows if "hard_link_of" in fields},
        document.get("complete") is True,
    )


def _from_object(fields: Mapping[str, Any]) -> ManifestEntry:
    text = _text(fields, "target") if fields["target"] is not None else b""
    entry = _entry(_text(fields, "path"), fields["mode"], str(fields["size"]), fields["sha256"])
    if fields["type"] != entry.type or (text and sha256_of(text) != entry.sha256):
        raise ValueError(f"{fields['path']} contradicts itself")
    return entry._replace(text=text, blob=str(fields["git_blob"] or ""))


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        raise ValueError("it says something twice")
    return mapping


def _entry(path: bytes, mode: str, size: str, digest: str) -> ManifestEntry:
    return _of_row(manifest_rows.row_of(path, mode, size, digest))


def _of_row(row: manifest_rows.ManifestRow) -> ManifestEntry:
    return ManifestEntry(RelativePath(row.path), row.mode, row.size, Sha256(row.sha256))


def normalize_path(path: bytes) -> str:
    """A path as a disk sees it that does not tell Unicode forms apart."""
    import unicodedata

    text = path.decode("utf-8", "surrogateescape")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def fold_path(path: bytes) -> str:
    """A path as a disk sees it that does not tell case apart either."""
    return normalize_path(path).casefold()


# ------------------------------------------------------------------------------------------ as JSON has it


def to_json(manifest: Manifest) -> dict[str, Any]:
    """What `parse` reads back, but for the keys `schema` and `unproven`."""
    extras = manifest.extras
    others = {**dict.fromkeys(extras.folders, EMPTY), **extras.special}
    return {
        "digest": manifest.digest,
        "contents_only": manifest.contents_only,
        "complete": extras.whole,
        "entries": [_object(entry, extras) for entry in manifest.entries.values()],
        "others": [{**_named("path", path), "kind": kind} for path, kind in sorted(others.items())],
    }


def _object(entry: ManifestEntry, extras: Extras) -> dict[str, Any]:
    fields: dict[str, Any] = {
        **_named("path", entry.path),
        "type": entry.type,
        "mode": entry.mode,
        "size": entry.size,
        "sha256": entry.sha256,
        "git_blob": entry.blob or None,
        **(_named("target", entry.text) if entry.text else {"target": None}),
    }
    if entry.path in extras.modes:
        fields["permissions"] = f"{extras.modes[entry.path]:04o}"
    if entry.path in extras.twins:
        fields |= _named("hard_link_of", extras.twins[entry.path])
    return fields


def _named(key: str, path: bytes) -> dict[str, str]:
    r"""A path for people, `\xNN` for each byte that is not UTF-8; where there is one, for programs too."""
    import base64

    text = display_path(path)
    exact = text.encode("utf-8") == path
    return {key: text} if exact else {key: text, f"{key}_base64": base64.b64encode(path).decode("ascii")}


def _text(fields: Mapping[str, Any], key: str) -> bytes:
    import base64

    if f"{key}_base64" not in fields:
        return str(fields[key]).encode("utf-8")
    path = base64.b64decode(fields[f"{key}_base64"], validate=True)
    if display_path(path) != fields[key]:
        raise ValueError(f"{fields[key]} contradicts itself")
    return path
