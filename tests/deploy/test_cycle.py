"""The record of a deploy, and the cycles that a bucket has of other machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from buildguard.cycles import record as records
from buildguard.cycles import runner_output, store
from buildguard.cycles.expectations import CycleVerdict
from buildguard.cycles.record import CycleHistory
from buildguard.deploy import cycle as deploy_cycle
from buildguard.deploy.cycle import CycleEnd, CycleKeeper
from buildguard.deploy.outcome import StepOutcome
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.verify_step import VerifyReport
from buildguard.errors import UnprovenError
from buildguard.project.ledger import Ledger, StepVerdict
from tests.cycles.cycles import SERVICE, cases, cycle, result
from tests.deploy.plans import StepByStep, prepared

if TYPE_CHECKING:
    from buildguard.gcp.storage import StorageClient


class _Bucket:
    """Objects by name."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def names(self, _bucket: str, prefix: str) -> list[str]:
        """Those below a prefix."""
        return [name for name in self.objects if name.startswith(prefix)]

    def content(self, url: str) -> bytes:
        """One of them."""
        return self.objects[url.removeprefix("gs://b/")]


@pytest.fixture(autouse=True)
def _no_google(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy_cycle, "_variables", lambda _prepared: ("A", "B"))
    monkeypatch.setattr(deploy_cycle, "_bases", lambda _prepared: ("python:3.11",))


def test_the_record_of_a_run(tmp_path: Path) -> None:
    ready = prepared(tmp_path)
    run = StepByStep(ready, Ledger(tmp_path / "ledger", "abc", ready.service_id, "c" * 40))
    outcomes = (StepOutcome(DeployStep.CHECK, StepVerdict.OK, 1.234, "1 file", {}),)
    tested = VerifyReport((result(a="p", b="f"),), CycleVerdict((), ("n",), ("t::z",), cases(a="p", b="f")))

    context = run.context._replace(outcomes=outcomes, tested=tested)
    record = deploy_cycle.make_record(context, CycleHistory((cycle(4, a="p"),)), CycleEnd(1, ("m",)))

    assert (record.id, record.number, record.exit_code, record.missing) == ("abc", 5, 1, ("t::z",))
    assert record.steps[0]._asdict() == {"id": "check", "verdict": "ok", "seconds": 1.23, "words": "1 file"}
    assert record.notes == ("m", "n")
    assert record.facts.variables == ("A", "B")
    assert records.parse(records.write(record)) == record


def test_a_refused_plan_is_a_cycle_too(tmp_path: Path) -> None:
    ready = prepared(tmp_path)
    refused = ready._replace(plan=ready.plan._replace(refusals=("BG501 missing: X",)))

    record = deploy_cycle.make_refused_record(refused, "abc", CycleHistory())

    assert (record.exit_code, record.notes, record.steps) == (1, ("refused: BG501 missing: X",), ())


def test_cycles_of_other_machines(tmp_path: Path) -> None:
    ledger, folder = tmp_path / "ledger", store.bucket_folder_of(SERVICE)
    store.write(store.folder_of(ledger), cycle(1, a="p"))
    bucket = _Bucket(
        {f"{folder}{number}-run{number}.json": records.write(cycle(number, a="p")) for number in (1, 2)}
        | {f"{folder}3-run3.md": b"# report", f"{folder}4-run4.json": b"{"}
    )
    keeper = CycleKeeper(ledger, SERVICE)
    written: dict[str, bytes] = {}

    keeper.share(cast("StorageClient", bucket), "b", written.__setitem__)
    keeper.keep(cycle(5, a="p"))

    assert [record.number for record in keeper.history.cycles] == [1, 2]
    assert [name.rpartition("-")[2] for name in written] == ["run5.json"]
    assert [record.number for record in store.read(keeper.folder)] == [1, 5]


def test_what_cannot_be_shared_or_written_is_a_note(tmp_path: Path) -> None:
    def refuse(_name: str, _data: bytes) -> None:
        raise UnprovenError("no right to write")

    keeper = CycleKeeper(tmp_path / "ledger", SERVICE)
    keeper.share(cast("StorageClient", _Bucket({})), "b", refuse)
    store.folder_of(tmp_path / "ledger").write_text("no folder")
    keeper.keep(cycle(1, a="p"))

    assert len(keeper.notes) == 2
    assert "no right to write" in keeper.notes[1]


def test_an_output_without_runs() -> None:
    assert runner_output.read(b"hello").runs == ()
