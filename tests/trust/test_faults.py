"""One fault of every fourth kind, and of each in the full run; `python -m tests.trust.faults 20` does twenty."""

from __future__ import annotations

import shutil
import sys

import pytest

from tests.conftest import missing, sample
from tests.trust import faults
from tests.trust.killed import BAD, Place

pytestmark = [
    pytest.mark.interpreters,
    pytest.mark.skipif(sys.platform != "linux", reason="strace, and processes in /proc"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    if shutil.which("strace") is None:
        missing("strace", "apt-get install strace")
    return Place(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("kind", sample(faults.KINDS, 4))
def test_a_fault_passes_nothing_and_leaves_nothing(place: Place, kind: str) -> None:
    words = None
    for seed in range(40):  # not every command comes to every call
        words = faults.trial(place, kind, seed)
        if words is not None:
            break
    assert words == ""


_LIES = {
    "a pass": ("check", 0, b'{"diagnostics": [], "unproven": []}'),
    "a part": ("check", 1, b'{"diagnostics": [{"path": "app/bad0.py", "severity": "error"}], "unproven": []}'),
    "an accusation": ("check", 1, b'{"diagnostics": [{"path": "app/m1.py", "severity": "error"}], "unproven": []}'),
    "a change": ("diff", 1, b'{"hops": [{"identical": false, "differences": [1]}], "first_changed_hop": 0}'),
    "half an answer": ("diff", 0, b'{"hops": ['),
    "half a look": ("diff", 0, b'{"hops": [{"identical": false, "differences": []}], "first_changed_hop": null}'),
}


@pytest.mark.parametrize("lie", _LIES)
def test_a_lie_would_be_seen(place: Place, lie: str) -> None:
    command, status, out = _LIES[lie]

    assert faults._judged(place, faults.Ended(command, status, out, b""), quiet=False) != ""
    assert len(BAD) == 4


def test_a_manifest_of_something_else_would_be_seen(place: Place) -> None:
    (place.path / "made.json").write_text('{"digest": "sha256:0"}')

    assert faults._judged(place, faults.Ended("manifest", 0, b"", b""), quiet=False) != ""
    place.restore()
