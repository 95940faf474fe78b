"""Records of cycles: written, read, masked, and kept for their owner alone."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from buildguard.cycles import record as records
from buildguard.cycles import store
from buildguard.cycles.case_results import CaseOutcome, CaseResult, Counts
from buildguard.cycles.facts import bases_of, settings_of
from buildguard.cycles.record import CycleFacts, CycleStep
from buildguard.errors import UnprovenError
from buildguard.project import config
from tests.cycles.cycles import SERVICE, changed, cycle, result


def test_a_record_survives() -> None:
    whole = changed(
        cycle(3, 1, a="p1.5", b="f"),
        steps=(CycleStep("check", "ok", 1.5, "1 file"),),
        facts=CycleFacts("x@sha256:1", ("python:3.11",), {"target": "abc"}, ("A",)),
        diagnosis={"cause": "unknown", "chain": [{"words": "x"}]},
        missing=("t.py::z",),
        notes=("n",),
    )

    assert records.parse(records.write(whole)) == whole


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"schema": 2}', b'{"schema": 1}', b"[" * 100_000])
def test_what_is_no_record(data: bytes) -> None:
    assert records.parse(data) is None


def test_secrets_are_masked() -> None:
    case = CaseResult("t::a", CaseOutcome.FAILED, message="token=abcdef123456 refused", detail="password: hunter2222")
    data = records.write(changed(cycle(1, a="p"), cases=(case,), notes=("postgres://me:s3cret99@db/x",)))

    for secret in (b"abcdef123456", b"hunter2222", b"s3cret99"):
        assert secret not in data
    assert b"refused" in data


def test_a_failure_counts_whatever_a_later_run_says() -> None:
    twice = changed(cycle(1, a="p"), cases=(*cycle(1, a="f").cases, *cycle(1, a="p").cases))

    assert twice.last_results["t.py::a"].outcome == "failed"
    assert twice.counts == Counts(0, 1)
    assert records.commands_of([result(a="p")])[0].output == ""


def test_files_are_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "buildguard" / "cycles"
    for number in (2, 1):
        store.write(folder, cycle(number, a="p"))
    store.write(folder, changed(cycle(3, a="p"), service=SERVICE._replace(project="other")))
    (folder / "broken.json").write_text("{")

    assert [record.number for record in store.read(folder, SERVICE)] == [1, 2]
    assert len(store.read(folder)) == 3
    file = store.file_of(folder, cycle(1), "json")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert store.read(tmp_path / "nowhere") == []
    with pytest.raises(UnprovenError):
        store.write_private(file / "x", b"")


def test_history() -> None:
    history = records.merge([cycle(2, 1, a="f"), cycle(1, a="p")], [cycle(1, a="p"), cycle(3, 3)])

    assert [record.number for record in history.cycles] == [1, 2, 3]
    assert history.last is not None
    assert (history.last.number, history.next_number) == (3, 4)
    assert history.last_green == cycle(1, a="p")
    assert history.last_tested == cycle(2, 1, a="f")


def test_facts() -> None:
    before = settings_of(config.read({b"buildguard.toml": b"[deploy]\nhealth = '/a'\n"}))
    after = settings_of(config.read({b"buildguard.toml": b"\n[deploy]\nhealth = '/b'\nservice = 'x'\n"}))

    assert set(before) == {"deploy.health"}
    assert set(after) == {"deploy.health", "deploy.service"}
    assert before["deploy.health"] != after["deploy.health"]
    assert bases_of(b"FROM --platform=x python:3.11 AS a\nFROM debian\nCOPY --from=a / /\n") == (
        "python:3.11",
        "debian",
    )


@pytest.mark.parametrize("odd", [None, [], {}, "x", float("inf"), float("nan"), "9" * 5000])
def test_a_record_of_other_types_is_none_or_can_be_shown(odd: object) -> None:
    value = json.loads(records.write(changed(cycle(1, 1, a="f"), steps=(CycleStep("check", "ok", 1.0, ""),))))
    places = [(value, key) for key in value] + [
        (value[part][0] if isinstance(value[part], list) else value[part], key)
        for part in ("steps", "commands", "cases", "facts", "service")
        for key in (value[part][0] if isinstance(value[part], list) and value[part] else value[part] or {})
    ]
    for holder, key in places:
        kept, holder[key] = holder[key], odd
        record = records.parse(json.dumps(value).encode())
        if record is not None:
            shown = [f"{record.number:d}", *(f"{step.seconds:.1f} {step.words:>9}" for step in record.steps)]
            assert all(shown)
        holder[key] = kept


def test_one_file_that_is_no_record_hides_no_other(tmp_path: Path) -> None:
    store.write(tmp_path, cycle())
    (tmp_path / "gone.json").symlink_to("nowhere")
    (tmp_path / "link.json").symlink_to(store.file_of(tmp_path, cycle(), "json"))
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "folder.json").mkdir()

    assert len(store.read(tmp_path)) == 1
