"""What is reported of the bytecode in an image."""

from __future__ import annotations

from typing import cast

from buildguard.check.bytecode import StaleBytecode
from buildguard.check.image_bytecode import BytecodeCheck, report_bytecode
from buildguard.diagnostic import Severity


class _Checked:
    """A check that ended: the names of two of its files, and one that was not read."""

    unproven = ((b"/app/lost.pyc", "was not kept"),)

    def name(self, place: bytes) -> bytes:
        return place.removeprefix(b"/app/")


def test_bytecode_that_runs_is_an_error_and_the_rest_is_counted() -> None:
    stale = [
        StaleBytecode(b"/app/a.pyc", "it holds other code", runs=True),
        StaleBytecode(b"/app/b.pyc", "no import takes it", runs=False),
        StaleBytecode(b"/app/c.pyc", "no import takes it", runs=False),
        StaleBytecode(b"/opt/d.pyc", "no import takes it", runs=False),
        StaleBytecode(b"/app/e.pyc", "it has no source", runs=True, is_module=True),
    ]

    diagnostics, unproven = report_bytecode(stale, cast("BytecodeCheck", _Checked()), "3.11")

    assert [(found.severity, found.path) for found in diagnostics] == [
        (Severity.ERROR, "a.pyc"),
        (Severity.WARNING, "b.pyc"),
        (Severity.WARNING, "/opt/d.pyc"),  # installed, and so not counted among the project's
    ]
    assert diagnostics[1].message.endswith("(and 1 more)")
    assert {(item.path, item.target) for item in unproven} == {("lost.pyc", "3.11"), ("e.pyc", "3.11")}
