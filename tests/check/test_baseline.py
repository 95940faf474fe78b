"""A baseline covers what was known, and never a file that the target rejects."""

from __future__ import annotations

import pytest

from buildguard.check.baseline import apply, can_be_known, parse, to_text
from buildguard.codes import CODES
from buildguard.diagnostic import Severity
from buildguard.errors import UsageError
from tests.cli.render.records import finding, report

_KNOWN = finding("a.py", "BG205", severity=Severity.WARNING)


def test_known_findings_are_left_out_and_counted() -> None:
    known = parse(to_text(report(_KNOWN)).encode(), "b.json")

    after = apply(report(_KNOWN._replace(range=_KNOWN.range._replace(line=40))), known, "b.json")

    assert after.diagnostics == ()
    assert after.hidden == 1
    assert after.notes == ("not shown: 1 known finding of the baseline b.json",)


def test_one_more_of_the_same_is_new() -> None:
    known = parse(to_text(report(_KNOWN)).encode(), "b.json")
    second = _KNOWN._replace(range=_KNOWN.range._replace(line=9))

    assert apply(report(_KNOWN, second), known, "b.json").diagnostics == (second,)


@pytest.mark.parametrize("code", [code for code in CODES if code.startswith(("BG1", "BG3"))] + ["BG201", "BG207"])
def test_what_the_target_rejects_is_never_known(code: str) -> None:
    from buildguard.check.fingerprint import fingerprints

    rejected = report(finding("a.py", code))

    assert not can_be_known(finding("a.py", code))
    assert '"fingerprint"' not in to_text(rejected)
    forged = frozenset(fingerprints(rejected.diagnostics))
    assert apply(rejected, forged, "b.json").diagnostics == rejected.diagnostics


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"findings": [1]}', b"\xff", b'{"findings": [{}]}', b"[" * 100_000]
)
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"b\.json is no baseline"):
        parse(data, "b.json")
