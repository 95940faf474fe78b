"""Random programs, judged and repaired, beside what real interpreters say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildguard.codes import RULE_ERRORS
from buildguard.fstrings import rules
from buildguard.fstrings.fix_plan import plan_rewrite
from buildguard.fstrings.libcst_check import UnreadableError, parse_with_libcst, parse_with_rules
from buildguard.fstrings.parser import read
from buildguard.fstrings.prefilter import may_be_refused, may_nest
from tests.conftest import ALL
from tests.oracle import doubt, refusals
from tests.programs import Programs

if TYPE_CHECKING:
    from random import Random

pytestmark = pytest.mark.interpreters

_BATCH = 20
_some = settings(
    max_examples=100 if ALL else 50,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def _draw(random: Random) -> list[str]:
    programs = Programs(random.randrange)
    return [programs.program() for _ in range(_BATCH)]


@_some
@given(st.randoms(use_true_random=False))
def test_no_miss_and_no_false_alarm(random: Random) -> None:
    sources = _draw(random)

    old, older, new, newer = (refusals(version, sources) for version in ("3.11", "3.8", "3.12", "3.13"))

    for at, source in enumerate(sources):
        found = {one.code for one in rules.findings(source.encode(), 11)}
        if found & RULE_ERRORS:
            assert old[at], source
            assert older[at], source
        elif old[at]:
            assert new[at], source
            assert newer[at], source
        if found:
            assert may_be_refused(source.encode()), source
            assert found & RULE_ERRORS or may_nest(source.encode()), source


@_some
@given(st.randoms(use_true_random=False))
def test_every_fix_is_legal_everywhere_and_means_the_same(random: Random) -> None:
    sources = _draw(random)
    plans = [plan_rewrite(source, 11) for source in sources]
    fixed = [made for made in plans if made.fixes and not any(fix.reason for fix in made.fixes)]
    before, after = [made.before for made in fixed], [made.after for made in fixed]
    legal = refusals("3.13", before)

    for version in ("3.8", "3.11", "3.12", "3.13"):
        for made, was, now in zip(fixed, legal, refusals(version, after), strict=True):
            # what every Python refuses for another reason stays refused
            assert not now or was or "field 'value' is required" in now, (made.before, made.after)
    for made, was in zip(fixed, legal, strict=True):
        assert was or not doubt("3.13", made.before, made.after, made.lifted), (made.before, made.after)
        assert plan_rewrite(made.after, 11).fixes == ()


@_some
@given(st.randoms(use_true_random=False))
def test_libcst_sees_the_same_structure(random: Random) -> None:
    programs = Programs(random.randrange)
    for _ in range(_BATCH):
        source = programs.fstring(0)
        literal = read(source)
        if literal is None or r"\N{" in source:  # which libcst takes for a field, in a format spec
            continue
        try:
            theirs = parse_with_libcst(source)
        except UnreadableError:
            continue
        assert theirs == parse_with_rules(source, literal), source


def test_most_of_what_can_be_written_otherwise_is_fixed() -> None:
    from random import Random

    programs = Programs(Random(7).randrange)
    sources = [programs.program() for _ in range(2_000 if ALL else 1_000)]
    old, new, newer = (refusals(version, sources) for version in ("3.11", "3.12", "3.13"))
    broken = [source for at, source in enumerate(sources) if old[at] and not new[at] and not newer[at]]
    reasons = [[fix.reason for fix in plan_rewrite(source, 11).fixes if fix.reason] for source in broken]
    left = [said for said in reasons if any("the text of a `=` field" not in reason for reason in said)]

    assert len(broken) > len(sources) / 4
    assert len(left) < 0.05 * len(broken)
    assert sum(map(bool, reasons)) < 0.25 * len(broken)
