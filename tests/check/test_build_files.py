"""Findings on build files and the step file: which kind of build decides, and where each finding points."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from buildguard.check.build_files import check_build_file, check_step_file
from buildguard.diagnostic import Severity
from buildguard.errors import UsageError
from buildguard.project import config as configs
from buildguard.project.cloudbuild import guard_step
from buildguard.project.config import Config
from tests.conftest import Project

_UNDEFINED = b"steps: [{name: x, args: [$_A]}]\n"
_STRING = b"steps: [{name: x, args: a}]\n"


def _config(text: str = "") -> Config:
    return configs.read({b"buildguard.toml": text.encode()})


@pytest.mark.parametrize(
    ("data", "config", "submitted", "severity"),
    [
        (_UNDEFINED, "", "", Severity.WARNING),
        (_UNDEFINED, '[cloud]\nbuilds = "trigger"\n', "", Severity.WARNING),
        (_UNDEFINED, '[cloud]\nbuilds = "submit"\n', "", Severity.ERROR),
        (_UNDEFINED, "", "cloudbuild.yaml", Severity.ERROR),
        (_UNDEFINED, "", "other/cloudbuild.yaml", Severity.WARNING),
        (_STRING, "", "", Severity.ERROR),
        (_STRING, '[cloud]\nbuilds = "trigger"\n', "", Severity.ERROR),
        (_STRING, '[cloud]\nbuilds = "submit"\n', "", Severity.WARNING),
    ],
)
def test_the_kind_of_build_decides(data: bytes, config: str, submitted: str, severity: Severity) -> None:
    (finding,) = check_build_file("cloudbuild.yaml", data, _config(config), submitted)

    assert finding.severity is severity


def test_substitutions_of_the_configuration_count() -> None:
    assert check_build_file("cloudbuild.yaml", _UNDEFINED, _config('[cloud]\nsubstitutions = { _A = "a" }\n')) == []


def test_another_kind_of_build_is_refused() -> None:
    with pytest.raises(UsageError, match=r"buildguard\.toml:2: unknown value 'manual' for builds"):
        _config('[cloud]\nbuilds = "manual"\n')


def test_a_step_of_another_version_is_found_with_its_column() -> None:
    loader = guard_step.loader(b"another file")
    build = "steps:\n- name: x\n  args:\n    - |\n" + "".join(f"      {line}\n" for line in loader.splitlines())

    (finding,) = check_step_file(guard_step.text([], []), {"cloudbuild.yaml": build.encode()}, _config())

    line = build.splitlines()[(finding.range.line or 0) - 1]
    assert line[(finding.range.column or 0) - 1 :].startswith(guard_step.sha256(b"another file"))
    assert (finding.code, finding.severity) == ("BG406", Severity.ERROR)


def test_other_patterns_are_found_with_their_place() -> None:
    data = guard_step.text(["app"], [])

    (finding,) = check_step_file(data, {}, _config())

    assert data.splitlines()[(finding.range.line or 0) - 1].startswith(b"INCLUDE")
    assert (finding.path, finding.range.column, finding.severity) == (guard_step.NAME, 1, Severity.WARNING)


def test_a_trigger_s_build_file_passes_and_strict_does_not(project: Callable[..., Project]) -> None:
    created = project(
        {"Dockerfile": "FROM python:3.11-slim\n", "a.py": "x = 1\n", "cloudbuild.yaml": _UNDEFINED.decode()}
    )

    result = created.check()

    assert result.code == 0
    assert [(one["code"], one["severity"]) for one in result.json["diagnostics"]] == [("BG416", "warning")]
    assert created.check("--strict").code == 1
