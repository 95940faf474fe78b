"""Engines that disagree on the same bytes."""

from __future__ import annotations

import pytest

from buildguard.check.disagreements import EngineVerdict, find_disagreements
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, Finding, Range
from buildguard.engines.engine import EngineName, ReadyEngine
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion, Target

_TARGET = Target(PythonVersion(11), "Dockerfile:1")
_REFUSAL = Finding(Code.BG101, Range(3, 1), "SyntaxError: invalid syntax")
_HERE = ReadyEngine(EngineName.INTERPRETER, ProofGrade.COMPILED, "CPython 3.11.7", "3.11.7", "id")
_IMAGE = ReadyEngine(EngineName.CONTAINER, ProofGrade.IMAGE, "CPython 3.11.9", "3.11.9", "id", image="python:3.11")
_STATIC = ReadyEngine(EngineName.STATIC, ProofGrade.PREDICTED, "ruff", "3.11", "id")


def _compare(refusing: ReadyEngine, *accepting: ReadyEngine) -> list[Diagnostic]:
    verdicts = [{b"a.py": EngineVerdict.of(ready, [])} for ready in accepting]
    return find_disagreements([*verdicts, {b"a.py": EngineVerdict.of(refusing, [_REFUSAL])}], _TARGET)


def test_engines_that_agree_are_silent() -> None:
    assert _compare(_HERE) == []
    both = {b"a.py": EngineVerdict.of(_HERE, [_REFUSAL])}, {b"a.py": EngineVerdict.of(_IMAGE, [_REFUSAL])}
    assert find_disagreements(both, _TARGET) == []
    apart = {b"a.py": EngineVerdict.of(_HERE, [])}, {b"b.py": EngineVerdict.of(_IMAGE, [_REFUSAL])}
    assert find_disagreements(apart, _TARGET) == []


def test_only_a_refusal_of_the_compiler_counts() -> None:
    rule = Finding(Code.BG201, Range(1), "reuses its quote")

    assert EngineVerdict.of(_HERE, [rule]).refusal is None
    assert EngineVerdict.of(_HERE, [rule, _REFUSAL]).refusal == _REFUSAL


def test_a_disagreement_names_both_engines_and_the_place() -> None:
    (diagnostic,) = _compare(_IMAGE, _HERE)

    assert (diagnostic.code, diagnostic.path, diagnostic.range) == ("BG104", "a.py", Range(3, 1))
    assert (diagnostic.engine, diagnostic.target) == ("container,interpreter", "3.11")
    assert "CPython 3.11.7 (interpreter) accepts this file" in diagnostic.message
    assert "CPython 3.11.9 in python:3.11 (container) refuses it" in diagnostic.message


@pytest.mark.parametrize(
    ("refusing", "accepting", "hint"),
    [
        (_STATIC, _HERE, "a prediction is no proof"),
        (_IMAGE, _HERE, "3.11.9 and 3.11.7 are not the same Python"),
        (_IMAGE, _HERE._replace(version="3.11.9"), "not built as its version says"),
    ],
)
def test_the_hint_says_which_engine_to_believe(refusing: ReadyEngine, accepting: ReadyEngine, hint: str) -> None:
    assert hint in _compare(refusing, accepting)[0].hint
