"""The test suites of the interpreters as snippets: every verdict is the interpreter's own; a sample, and all with BUILDGUARD_ALL."""

from __future__ import annotations

import pytest

from buildguard.engines.engine import EngineName
from tests.conftest import ALL
from tests.trust.interpreter_suites import suite_snippets, verdicts

pytestmark = pytest.mark.interpreters


def test_no_verdict_on_an_own_suite_is_wrong(version: str) -> None:
    snippets = suite_snippets(version)[:: 1 if ALL else 11]
    if not snippets:
        pytest.skip(f"no Python {version} with its test suite")

    judged = verdicts(version, EngineName.INTERPRETER, [snippet.source for snippet in snippets])

    # BG102 and the rules are about the bytes, so a wrong verdict of theirs would show as well
    wrong = [
        (passes, snippet.source) for passes, snippet in zip(judged, snippets, strict=True) if passes != snippet.accepted
    ]
    assert wrong == []
    assert {snippet.accepted for snippet in snippets} == {True, False}
