"""Names of tests: from what JUnit XML has (`tests.e2e.test_a.TestB::test_c`) to the node id of pytest, and their comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from buildguard.cycles.case_results import CaseResult

_MOST_PARTS = 30


def with_node_ids(cases: Iterable[CaseResult], is_file: Callable[[str], bool]) -> tuple[CaseResult, ...]:
    """The same results, with the id `tests/e2e/test_a.py::TestB::test_c` where that is a file of the project."""
    known: dict[str, str] = {}
    renamed = []
    for case in cases:
        group, colons, name = case.id.partition("::")
        if group not in known:
            known[group] = _node_group(group, is_file)
        renamed.append(case._replace(id=f"{known[group]}{colons}{name}"))
    return tuple(renamed)


def _node_group(group: str, is_file: Callable[[str], bool]) -> str:
    """A dotted name as a path with classes behind it; unchanged where no file has it."""
    parts = group.split(".")
    if len(parts) > _MOST_PARTS or not all(part.isidentifier() for part in parts):
        return group
    for number in range(len(parts), 0, -1):
        path = f"{'/'.join(parts[:number])}.py"
        if is_file(path):
            return "::".join([path, *parts[number:]])
    return group


def same_test(given: str, identity: str) -> bool:
    """Whether a name that a person wrote is that test: written either way, with or without the parameters in brackets."""
    wanted, actual = _dotted(given), _dotted(identity)
    return wanted in {actual, actual.partition("[")[0]}


def _dotted(identity: str) -> str:
    """Either form of an id as `tests.e2e.test_a.TestB.test_c[1]`."""
    name, bracket, parameters = identity.partition("[")
    return name.replace(".py::", "::").replace("::", ".").replace("/", ".") + bracket + parameters
