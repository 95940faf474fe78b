"""Cloud Build's rules for a build file, checked before anything is sent. Pure: a read file in, findings out.

gcloud checks fields and types, and only those; the service checks the rest after the upload. Sources: gcloud 528's loader
(its recorded answers are in the tests), the API's reference, and Google's archived local builder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.diagnostic import Finding, Range, Severity, escape_text
from buildguard.project.cloudbuild import limit_rules, resource_rules, step_rules, substitution_rules
from buildguard.project.cloudbuild.fields import FieldProblem, check_type, flat, value_of
from buildguard.project.yaml import InvalidYamlError, Node, YamlPosition, read

_TAB = lazy_pattern(r"^ *\t", re.MULTILINE)


def problems(data: bytes, file: str, given: Mapping[str, str], builds: str = "") -> list[Finding]:
    """BG410 to BG418 of one build file.

    `given` are the substitutions that are passed from outside; `builds` is the kind of build that runs the file:
    `trigger`, `submit`, or empty where it is unknown.
    """
    try:
        root = read(data, file)
    except InvalidYamlError as error:
        place = Range(error.line or 1, error.column or 1)
        return [Finding(Code.BG410, place, f"not valid YAML: {error.problem}", "", _line(data, place.line))]
    if _is_something_else(root, file):
        return []
    text = data.decode("utf-8")
    problem_list = [*_check_form(root, text)]
    if not any(problem.code == Code.BG410 for problem in problem_list):
        problem_list += [*check_type(root, "Build", ""), *_check_build(root, text, given)]
    ordered = sorted(dict.fromkeys(problem_list), key=lambda problem: (problem.place.start, problem.code))
    return [_finding(problem, data, builds) for problem in ordered]


def _finding(problem: FieldProblem, data: bytes, builds: str) -> Finding:
    return Finding(
        problem.code,
        Range(problem.place.line, problem.place.column),
        escape_text(problem.message),
        problem.hint,
        _line(data, problem.place.line),
        Severity.ERROR if problem.refused_by.stops(builds) else Severity.WARNING,
    )


def _line(data: bytes, number: int | None) -> str:
    from buildguard.project.source_text import excerpt_of

    return excerpt_of(data, number)


def _is_something_else(root: Node, file: str) -> bool:
    """Whether a file only has the name of a build file: a Kubernetes manifest, a trigger, a list of variables."""
    keys = dict(root.pairs())
    if "steps" in keys:
        return False
    return {"apiVersion", "kind"} <= keys.keys() or posixpath.basename(file).rpartition(".")[0] != "cloudbuild"


def _check_form(root: Node, text: str) -> Iterator[FieldProblem]:
    if not isinstance(root.value, Mapping):
        yield FieldProblem(Code.BG410, root.place, "not a build file: expected a mapping with steps")
    if root.flow and (tab := _TAB.search(text)) is not None:
        line = text.count("\n", 0, tab.start()) + 1
        place = YamlPosition(line, 1, tab.start(), tab.end())
        yield FieldProblem(Code.BG410, place, "gcloud rejects tabs, in JSON too", "indent with spaces")


def _check_build(root: Node, text: str, given: Mapping[str, str]) -> Iterator[FieldProblem]:
    """Rules that concern more than one field."""
    build = flat(root)
    steps = [flat(step) for step in value_of(build, "steps").items() if isinstance(step.value, Mapping)]
    if source := build.get("source"):
        yield FieldProblem(Code.BG411, source.place, "a build file cannot set its source", "remove it")
    if not value_of(build, "steps").items():
        yield FieldProblem(Code.BG414, root.place, "a build needs at least one step")
    yield from step_rules.check_steps(build, steps)
    yield from resource_rules.check_resources(build, steps)
    yield from substitution_rules.check_substitutions(build, steps, text, given)
    yield from limit_rules.check_limits(build, steps)
