"""Programs that are put together from several modules: what they define is in one namespace, and no name means two things there."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from buildguard.engines.cloud_driver_script import driver
from buildguard.engines.verify_interpreter import facts_text, probe_text
from buildguard.project.cloudbuild.guard_step import text as step_text


def _defined(text: str) -> Iterator[str]:
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (item.id for target in node.targets for item in ast.walk(target) if isinstance(item, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


_PROGRAMS: dict[str, Callable[[], str]] = {
    "facts": lambda: facts_text().decode(),
    "probe": probe_text,
    "driver": lambda: driver(()),
    "step": lambda: step_text((), ()).decode(),
}


@pytest.mark.parametrize("program", _PROGRAMS)
def test_no_name_means_two_things(program: str) -> None:
    names = Counter(_defined(_PROGRAMS[program]()))

    assert len(names) > 10
    assert [name for name, count in names.items() if count > 1] == []
