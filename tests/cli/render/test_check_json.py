"""`check --format json`: what programs read."""

from __future__ import annotations

import json

from buildguard.cli.render.check_json import as_json, render
from buildguard.diagnostic import DisplayPath, Edit, Range, Severity, Unproven
from tests.cli.render.records import chain, finding, report
from tests.conftest import schema


def test_a_report_follows_the_published_schema() -> None:
    edit = Edit(Range(3, 5, 3, 9), "'x'")
    answer = as_json(
        report(
            finding(edits=(edit,)),
            finding("b.py", "BG105", severity=Severity.WARNING),
            unproven=(Unproven(DisplayPath("c.py"), "3.11", "not readable"), Unproven(None, None, "no engine")),
            chain=chain(),
        )
    )

    schema("check").validate(answer)
    assert answer["diagnostics"][0]["fixable"] is True
    assert answer["diagnostics"][1]["fixable"] is False
    assert answer["summary"] == {
        "files": 9,
        "errors": 1,
        "warnings": 1,
        "unproven": 2,
        "rejected_files": 1,
        "seconds": 0.25,
    }
    assert answer["exit_code"] == 1
    assert [(hop["from"], hop["identical"]) for hop in answer["hops"]] == [("commit:HEAD", True)]
    assert answer["first_changed_hop"] is None


def test_text_that_is_not_unicode_stays_valid_json() -> None:
    text = render(report(finding("a\udcff.py")))

    assert text.encode("utf-8")
    assert json.loads(text.replace("\\udcff", "?"))["diagnostics"][0]["path"] == "a?.py"


def test_hops_and_image_are_left_out_where_nothing_was_compared() -> None:
    assert not {"hops", "image"} & set(as_json(report()))
