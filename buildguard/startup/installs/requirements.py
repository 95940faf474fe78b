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
    waiting, known, is_constrained = [_parsed_lines(file, read)], {file}, False
    while waiting:
        where, number, line = next(waiting[-1], ("", 0, ""))
        include = _INCLUDE.match(line)
        if not where:
            waiting.pop()
        elif include is not None:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(where), include[1]))
            if path not in known:  # once is enough, and files that include each other twice are read without end
                known.add(path)
                waiting.append(_parsed_lines(path, read))
        elif _CONSTRAINT.match(line) or line.startswith(("--no-index", "--find-links")):
            is_constrained = True
        elif (requirement := _requirement(line)) is not None:
            lines.append(RequirementLine(where, number, requirement))
    return RequirementFile(tuple(lines), is_constrained)


def requirement_lines(file: str, line: int, texts: Iterable[str]) -> list[RequirementLine]:
    """The requirements among the words of a command."""
    parsed = (_requirement(text) for text in texts)
    return [RequirementLine(file, line, requirement) for requirement in parsed if requirement is not None]


def _parsed_lines(file: str, read: Callable[[str], bytes | None]) -> Iterator[tuple[str, int, str]]:
    text = (read(file) or b"").decode("utf-8", "replace")
    return ((file, number, line) for number, line in _joined(text))


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """The lines with what continues them, each with the number of its first."""
    held: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.endswith("\\"):
            held.append(f"{line[:-1]} ")
            continue
        start, whole = number - len(held), "".join([*held, line])
        held.clear()
        stripped = _COMMENT.sub("", whole).strip()
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
