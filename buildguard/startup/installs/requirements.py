"""Files of requirements as pip reads them: each requirement with its line, and whether its version is pinned. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_COMMENT = lazy_pattern(r"(?:^|\s)#.*$")
_INCLUDE = lazy_pattern(r"(?:-r|--requirement)[=\s]*(\S+)")
_CONSTRAINT = lazy_pattern(r"(?:-c|--constraint)[=\s]*\S+")
_OPTIONS = lazy_pattern(r"\s--(?:hash|config-settings?|global-option)\b.*$")
_DEEPEST = 8


class RequirementLine(NamedTuple):
    """A requirement with a name: the file and line, and what it says."""

    file: str
    line: int
    requirement: Requirement

    @property
    def is_pinned(self) -> bool:
        """Whether it names exactly one release, or an address."""
        if self.requirement.url:
            return True
        clauses = list(self.requirement.specifier)
        return any(clause.operator in {"==", "==="} and not clause.version.endswith(".*") for clause in clauses)


class RequirementFile(NamedTuple):
    """Everything that a file asks for, with the files that it includes; `is_constrained` says that versions are set elsewhere."""

    lines: tuple[RequirementLine, ...]
    is_constrained: bool


def read_requirement_file(file: str, read: Callable[[str], bytes | None]) -> RequirementFile | None:
    """A file of requirements; None where it is not among the project's files."""
    if read(file) is None:
        return None
    lines: list[RequirementLine] = []
    constrained = [False]
    _read(file, read, lines, constrained, 0)
    return RequirementFile(tuple(lines), constrained[0])


def requirement_lines(file: str, line: int, texts: Iterable[str]) -> list[RequirementLine]:
    """The requirements among the words of a command."""
    parsed = (_requirement(text) for text in texts)
    return [RequirementLine(file, line, requirement) for requirement in parsed if requirement is not None]


def _read(
    file: str, read: Callable[[str], bytes | None], lines: list[RequirementLine], constrained: list[bool], depth: int
) -> None:
    text = (read(file) or b"").decode("utf-8", "replace")
    for number, line in _joined(text):
        include = _INCLUDE.match(line)
        if include is not None and depth < _DEEPEST:
            _read(
                posixpath.normpath(posixpath.join(posixpath.dirname(file), include[1])),
                read,
                lines,
                constrained,
                depth + 1,
            )
        elif _CONSTRAINT.match(line) or line.startswith(("--no-index", "--find-links")):
            constrained[0] = True
        else:
            requirement = _requirement(line)
            if requirement is not None:
                lines.append(RequirementLine(file, number, requirement))


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines with what continues them, each with the number of its first."""
    held, start = "", 1
    for number, line in enumerate(text.splitlines(), 1):
        start = start if held else number
        held += line
        if held.endswith("\\"):
            held = f"{held[:-1]} "
            continue
        stripped = _COMMENT.sub("", held).strip()
        held = ""
        if stripped:
            yield start, stripped


def _requirement(line: str) -> Requirement | None:
    """The requirement of a line; None for an option, a path or an address."""
    from packaging.requirements import InvalidRequirement, Requirement

    if line.startswith("-"):
        return None
    try:
        return Requirement(_OPTIONS.sub("", line).strip())
    except InvalidRequirement:
        return None
