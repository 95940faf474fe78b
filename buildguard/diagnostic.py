"""Diagnostics: what a judge says about a source, and the words every report uses for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from buildguard.codes import Code, SourceMark
from buildguard.definitions import NamedTuple, NewType, StrEnum

RelativePath = NewType("RelativePath", bytes)
"""A path relative to the root of the project or of a stage, with slashes, as its files are stored."""

DisplayPath = NewType("DisplayPath", str)
"""The same as reports write it (`display_path`)."""


class Severity(StrEnum):
    """Errors are findings (exit 1); warnings are findings only with `--strict`."""

    ERROR = "error"
    WARNING = "warning"


class Range(NamedTuple):
    """Where in a source; lines and columns count from 1, columns in Unicode code points, the end is exclusive.

    None where the interpreter that spoke names no place.
    """

    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None


class Edit(NamedTuple):
    """A piece of a repair: the text that replaces a range, or stands at it where the range is empty."""

    range: Range
    text: str


class Finding(NamedTuple):
    """One thing that a judge found in one source; which file it was is not its business.

    `within` is the f-string that the finding is about or, for a compiler's, the one that explains it; `edits` repair it.
    """

    code: Code | SourceMark
    range: Range
    message: str
    hint: str = ""
    excerpt: str = ""
    severity: Severity = Severity.ERROR
    within: Range | None = None
    edits: tuple[Edit, ...] = ()


class Diagnostic(NamedTuple):
    """A finding with the file, target and engine it belongs to; `evidence` is what the target's compiler said of it.

    `targets` are all those that share it, where there are several. `subject` is the file of the project that it is about, where
    that is another than the one at whose line it stands.
    """

    code: Code
    severity: Severity
    path: DisplayPath | None
    range: Range
    message: str
    hint: str = ""
    target: str | None = None
    engine: str | None = None
    excerpt: str = ""
    within: Range | None = None
    edits: tuple[Edit, ...] = ()
    evidence: str = ""
    targets: tuple[str, ...] = ()
    subject: str = ""

    @property
    def shared(self) -> tuple[str, ...]:
        """Every target that it holds for; none for a finding about the project."""
        return self.targets or ((self.target,) if self.target else ())

    @property
    def fixable(self) -> bool:
        """Whether `buildguard fix` knows a rewrite."""
        return bool(self.edits)


class Unproven(NamedTuple):
    """Something that could not be looked at, and why; `path` is None where it concerns a whole target."""

    path: DisplayPath | None
    target: str | None
    reason: str


def escape_text(text: str) -> str:
    """Text of foreign origin, safe on a terminal: control, bidi and unpaired characters become escapes."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\t" else _escaped(char) for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def display_path(path: bytes) -> DisplayPath:
    r"""A path as reports write it: UTF-8, and `\xNN` for each byte that is not."""
    return DisplayPath(path.decode("utf-8", "backslashreplace"))


def count(number: int, word: str) -> str:
    """A number and what it counts, in the plural where it is due."""
    if number == 1 or word == "more":
        return f"{number} {word}"
    return f"{number} {word.removesuffix('y')}ies" if word.endswith("ry") else f"{number} {word}s"


def name_some(names: Sequence[str], most: int = 5) -> str:
    """Names for a sentence: the first of them, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def unproven_line(item: Unproven, where: str = "") -> str:
    """What could not be looked at, and why; `where` stands in place of its path."""
    shown = where or item.path
    place = f"{escape_text(shown)}: " if shown is not None else ""
    target = f" (Python {item.target})" if item.target else ""
    return f"{place}{escape_text(item.reason)}{target}"


def shorten_digests(stage: str) -> str:
    """The name of a stage with its long digests cut short: `gs://bucket/source/0123456789ab….tgz#17`."""
    return re.sub(r"[0-9a-f]{40,}", lambda match: f"{match[0][:12]}…", stage)


FOLDER = "a folder"  # in place of a file


class UnreadableFile(NamedTuple):
    """A file that could not be read, and why; `is_missing` where it was listed and is not there any more.

    `special` is what is there instead of a file: a FIFO, a socket, a folder … `damaged` where its bytes are not those
    that its id stands for. `size` and `sha256` are known of one that was read, and is too large to be kept.
    """

    reason: str
    is_missing: bool = False
    special: str = ""
    damaged: bool = False
    size: int = 0
    sha256: str = ""
