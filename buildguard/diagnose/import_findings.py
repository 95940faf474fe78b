"""The findings of `check` in imports (BG601 to BG605) that an exception of the log is about: evidence of its cause. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnose import standard_library
from buildguard.diagnose.incident import ImportFinding, LocatedFailure, SourceLocation
from buildguard.diagnostic import Diagnostic, Severity

_NEAR = 5  # lines between an annotation and the line that a traceback shows of its function
_CHAIN = lazy_pattern(r" \((?P<chain>[^()]+(?: → [^()]+)+)\)$")
_NEEDS = lazy_pattern(r"it needs Python (?P<version>3\.\d+)")


class _FailureKind(NamedTuple):
    """What an exception at import says: the codes that explain it, and the groups of its message that a finding has to name."""

    pattern: re.Pattern[str]
    codes: frozenset[str]


_KINDS: Mapping[str, tuple[_FailureKind, ...]] = MappingProxyType(
    {
        "ModuleNotFoundError": (
            _FailureKind(
                re.compile(r"No module named ['\"]?(?P<module>[\w.]+)"), frozenset({"BG601", "BG603", "BG604"})
            ),
        ),
        "ImportError": (
            _FailureKind(re.compile(r"cannot import name ['\"]?(?P<name>\w+)"), frozenset({"BG602", "BG603", "BG604"})),
            _FailureKind(re.compile(r"(?P<relative>relative import)"), frozenset({"BG604"})),
            _FailureKind(
                re.compile(r"No module named ['\"]?(?P<module>[\w.]+)"), frozenset({"BG601", "BG603", "BG604"})
            ),
        ),
        "TypeError": (
            _FailureKind(re.compile(r"unsupported operand type\(s\) for \|"), frozenset({"BG605"})),
            _FailureKind(re.compile(r"object is not subscriptable"), frozenset({"BG605"})),
        ),
        "AttributeError": (
            _FailureKind(
                re.compile(r"module ['\"](?P<module>[\w.]+)['\"] has no attribute ['\"](?P<name>\w+)"),
                frozenset({"BG602", "BG604"}),
            ),
        ),
    }
)
_CODES = frozenset(code for kinds in _KINDS.values() for kind in kinds for code in kind.codes)


def import_findings(failures: Iterable[LocatedFailure], diagnostics: Iterable[Diagnostic]) -> Iterator[ImportFinding]:
    """What explains each exception: the finding at its place, of what it names; the nearest one in its file."""
    known = [item for item in diagnostics if item.code in _CODES and item.path is not None]
    for located in failures if known else ():
        for item in _explaining(located, known):
            yield _finding(located.failure.line, item)


def every_finding(diagnostics: Iterable[Diagnostic]) -> Iterator[ImportFinding]:
    """All that `check` finds in imports, whether the log is about it or not; an error is executed at import."""
    for item in diagnostics:
        if item.code in _CODES and item.path is not None:
            yield _finding(0, item)


def _explaining(located: LocatedFailure, known: Sequence[Diagnostic]) -> list[Diagnostic]:
    failure, place = located.failure, located.place
    if place is None:
        return []
    kinds = _KINDS.get(failure.type.rpartition(".")[2], ())
    for kind in kinds:
        match = kind.pattern.search(failure.message)
        if match is not None:
            items = [item for item in known if item.path == place.path and _names(item, kind, match)]
            return _nearest(items, place.line, is_exact="BG605" not in kind.codes)
    return []


def _names(item: Diagnostic, kind: _FailureKind, match: re.Match[str]) -> bool:
    """Whether a finding is of the kind of an exception, and names what that does: a module by its top as well."""
    if item.code not in kind.codes:
        return False
    groups = match.groupdict()
    module = groups.get("module") or ""
    if groups.get("name"):
        return _has_word(item.message, groups["name"])
    return not module or _has_word(item.message, module) or _has_word(item.message, module.partition(".")[0])


def _has_word(text: str, word: str) -> bool:
    return re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", text) is not None


def _nearest(items: Sequence[Diagnostic], line: int | None, *, is_exact: bool) -> list[Diagnostic]:
    """The findings in the line of an exception, else the nearest; a name that is used elsewhere is imported above."""
    exact = [item for item in items if item.range.line == line]
    if exact or line is None:
        return exact or list(items)
    distances = {abs((item.range.line or 0) - line) for item in items}
    nearest = min(distances, default=0)
    if not is_exact and nearest > _NEAR:
        return []
    return [item for item in items if abs((item.range.line or 0) - line) == nearest]


def _finding(line: int, item: Diagnostic) -> ImportFinding:
    chain = _CHAIN.search(item.message)
    modules = tuple(chain["chain"].split(" → ")) if chain is not None else ()
    since, until = _versions(item)
    place = SourceLocation(item.path or "", item.range.line)
    executed = item.severity is Severity.ERROR
    return ImportFinding(line, place, item.code, item.message, item.target or "", modules, since, until, executed)


def _versions(item: Diagnostic) -> tuple[str, str]:
    """The lowest Python that has what a finding misses, and the last one that has it; empty where that is unknown."""
    needs = _NEEDS.search(item.message)
    if needs is not None:
        return needs["version"], ""
    since, until = standard_library.versions_of_finding(item.message)
    return f"3.{since}" if since else "", f"3.{until}" if until else ""
