"""What each machine format does with a report that is not ordinary."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import click
import pytest

from buildguard.check.result import Dependencies, ImageReport
from buildguard.cli.check import check
from buildguard.cli.render import check_json, github, gitlab, junit, sarif
from buildguard.codes import Code
from buildguard.diagnostic import Edit, Range
from tests.cli.render.records import finding, report

_INSTALLED = Dependencies(1, ("/usr/lib",), (finding("lib/x.py"),), ())
_IMAGE = ImageReport("web", "sha256:1", "", "linux/amd64", ("/app",), "Dockerfile:1", (), (), _INSTALLED)


def test_installed_packages_count_with_strict_alone() -> None:
    for strict in (False, True):
        result = report(strict=strict)._replace(image=_IMAGE)
        assert result.exit_code == int(strict)
        assert ET.fromstring(junit.render(result)).get("failures") == str(int(strict))
        assert len(json.loads(gitlab.render(result))) == int(strict)


def test_a_clean_report_is_empty_where_the_format_has_only_findings() -> None:
    assert json.loads(gitlab.render(report())) == []
    assert json.loads(sarif.render(report()))["runs"][0]["results"] == []


def test_echoed_text_stands_between_two_tokens() -> None:
    first, text, last = github.echoed("::error::x\n").splitlines()

    assert text == "::error::x"
    assert last == f"::{first.removeprefix('::stop-commands::')}::"


@pytest.mark.parametrize("target", ["", None])
def test_a_finding_without_a_target_names_no_python(target: str | None) -> None:
    unlocked = finding("requirements.txt", Code.BG409)._replace(target=target)

    assert ",title=buildguard BG409::" in github.render(report(unlocked))
    assert json.loads(check_json.render(report(unlocked)))["diagnostics"][0]["targets"] == []
    (result,) = json.loads(sarif.render(report(unlocked)))["runs"][0]["results"]
    assert result["properties"]["targets"] == []


def test_sarif_carries_the_repair() -> None:
    edit = Edit(Range(3, 5, 3, 9), "'x'")
    (result,) = json.loads(sarif.render(report(finding(edits=(edit,)))))["runs"][0]["results"]

    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["insertedContent"] == {"text": "'x'"}


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(click.UsageError, match="xml"):
        check.make_context("check", ["--format", "xml"])
