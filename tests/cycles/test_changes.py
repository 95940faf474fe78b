"""What changed between two cycles: tests, commits, settings, variables, image and base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.cycles.changes import CaseChanges, CycleChanges, compare_cases, compare_deploys
from buildguard.cycles.record import CycleFacts
from buildguard.system import git, git_between
from buildguard.system.git_between import CommitRange
from tests.cycles.cycles import changed, cycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project


def test_tests() -> None:
    before = cycle(1, a="p", b="f", c="f", d="p", e="p", f="s")
    now = changed(cycle(2, 1, a="f", b="p", c="e", d="s", f="s", g="f", h="p"), commit="d" * 40)

    found = compare_cases(before, now)

    assert found == CaseChanges(
        newly_failing=("t.py::a", "t.py::g"),
        fixed=("t.py::b",),
        still_failing=("t.py::c",),
        vanished=("t.py::e",),
        new=("t.py::g", "t.py::h"),
        skipped=("t.py::d",),
    )
    assert found.sentence == "2 newly failing, 1 fixed, 1 still failing, 1 vanished, 2 new, 1 skipped"
    assert compare_cases(before, before).sentence == "2 still failing"


def test_one_commit_with_two_outcomes_is_flaky() -> None:
    before, now = cycle(1, a="p", b="f", c="p"), cycle(2, a="f", b="p", c="p")

    assert compare_cases(before, now).flaky == ("t.py::a", "t.py::b")
    again = changed(now, cases=tuple(case._replace(attempt=2) for case in cycle(2, c="p").cases), commit="d" * 40)
    assert compare_cases(before, again).flaky == ("t.py::c",)
    twice = changed(now, cases=(*cycle(2, c="p").cases, *(case._replace(attempt=2) for case in cycle(2, c="p").cases)))
    assert compare_cases(cycle(1, c="p"), twice).flaky == ()


def test_what_was_deployed() -> None:
    before = changed(cycle(1), facts=CycleFacts("x@sha256:1", ("python:3.11",), {"a": "1", "b": "1"}, ("A", "B")))
    now = changed(cycle(2), facts=CycleFacts("x@sha256:2", ("python:3.12",), {"b": "2", "c": "1"}, ("B", "C")))

    found = compare_deploys(before, now, CommitRange(("abc one", "def two"), ("a.py",), 3))

    assert found.settings == ("a", "b", "c")
    assert (found.variables_added, found.variables_removed) == (("C",), ("A",))
    assert found.sentences == (
        "2 commits, 4 files changed",
        "settings changed: a, b, c",
        "variables added: C",
        "variables removed: A",
        "base images: python:3.11 → python:3.12",
        "image: x@sha256:1 → x@sha256:2",
    )
    assert CycleChanges(before, CaseChanges(), found).as_json()["deploy"]["commits"]["more_paths"] == 3
    unknown = compare_deploys(changed(before, facts=CycleFacts()), now, CommitRange(gap="gone"))
    assert unknown.variables_added == ()
    assert unknown.sentences[0] == "the commits between are unknown: gone"


@pytest.mark.interpreters
def test_commits(repository: Callable[..., Project]) -> None:
    project = repository({"a.py": "x = 1\n"})
    first = project.git("rev-parse", "HEAD").strip()
    project.write({"a.py": "x = 2\n", "b.py": ""})
    project.commit()
    found = git.repository_of(project.path)
    assert found is not None

    between = git_between.commits_between(found, first, found.head)

    assert (between.paths, len(between.commits), between.gap) == (("a.py", "b.py"), 1, "")
    assert between.commits[0].startswith(found.head[:10])
    assert git_between.commits_between(found, found.head, found.head) == CommitRange()
    assert git_between.commits_between(found, "1" * 40, found.head).gap
