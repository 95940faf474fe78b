"""One strike of every second kind on the lines to the engine and to the bucket, and of each in the full run.

`python -m tests.trust.lines 20` does twenty.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.conftest import sample
from tests.trust.killed import BAD
from tests.trust.lines import KINDS, Field

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")


@pytest.fixture(scope="module")
def field(engine_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine_address)
        made = Field(tmp_path_factory.mktemp("lines"), engine_address)
        yield made
        made.close()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("kind", sample(KINDS, 2))
def test_a_line_that_breaks_passes_nothing_and_leaves_nothing(field: Field, kind: str) -> None:
    words = None
    for seed in range(20):  # a byte of a connection that is not made this time strikes nothing
        words = field.trial(kind, seed)
        if words is not None:
            break
    assert words == ""


_LIES = {
    "a pass": ("check", (0, {"diagnostics": [], "unproven": []})),
    "an accusation": (
        "check",
        (1, {"diagnostics": [{"path": "app/m1.py", "severity": "error"}], "unproven": [{"path": "app/m2.py"}]}),
    ),
    "a part": (
        "check",
        (1, {"diagnostics": [{"path": one, "severity": "error"} for one in list(BAD)[:1]], "unproven": []}),
    ),
    "silence": ("check", (3, {"diagnostics": [], "unproven": []})),
    "half a look": ("image", (3, {"hops": [{"identical": True}], "unproven": [{"path": "a"}]})),
    "an end": ("image", (70, None)),
    "identical": ("image", (0, {"hops": [], "unproven": [], "first_changed_hop": None})),
    "a change": ("fetch", (1, {"hops": [{"identical": False}], "unproven": [], "first_changed_hop": 0})),
    "another object": ("send", (True, b"x")),
}


@pytest.mark.parametrize("lie", _LIES)
def test_a_lie_would_be_seen(field: Field, lie: str) -> None:
    what, said = _LIES[lie]
    assert field._judged(what, said) != ""
