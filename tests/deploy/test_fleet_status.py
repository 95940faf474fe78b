"""The fleet at a glance: only a ledger's own line proves what serves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.cli import doctor_services
from buildguard.cli.render import fleet_status as table
from buildguard.cli.render.deploy import HistoryView, history_json, history_text
from buildguard.deploy.fleet_status import ServingProof, judge, read_fleet
from buildguard.project import config as configs
from buildguard.project.attempts import DeployHistory
from buildguard.project.ledger import Ledger, ServiceId, StepVerdict, read

if TYPE_CHECKING:
    from pathlib import Path

_WEB = ServiceId("acme", "europe-west1", "web")
_JOB = ServiceId("acme", "europe-west1", "migrate", "job")
_COMMIT = "c" * 40


def _write(file: Path, identity: ServiceId, run: str, *steps: tuple[str, dict[str, Any]]) -> None:
    ledger = Ledger(file, run, identity, _COMMIT)
    for step, evidence in steps:
        ledger.write(step, StepVerdict.OK, 1.0, evidence)
    ledger.write("end", StepVerdict.OK, 0.0, {})


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.jsonl"
    compiled = ("verify-image", {"interpreter": "CPython 3.11.9"})
    _write(file, _WEB, "aa", compiled, ("prove", {"revision": "web-1", "digest": "sha256:1"}))
    _write(
        file, _WEB, "bb", ("promote", {"digest": "sha256:1"}), ("prove", {"revision": "web-2", "digest": "sha256:1"})
    )
    _write(file, _JOB, "cc", compiled, ("execute", {}), ("prove", {"digest": "sha256:9"}))
    return file


def test_what_serves_is_proven_by_its_own_line(ledger: Path) -> None:
    lines = [line for line in read(ledger)[0] if line.service_id == _WEB]

    status = judge("web", _WEB, lines, "web-1", "")

    assert (status.proof, status.commit, status.python) == (ServingProof.PROVEN, _COMMIT, "CPython 3.11.9")
    assert (status.last_step, status.last_verdict) == ("prove", "ok")
    assert judge("web", _WEB, lines, "web-2", "").python == "CPython 3.11.9", (
        "a promoted digest was compiled by another run"
    )


def test_everything_else_is_no_proof(ledger: Path) -> None:
    lines = [line for line in read(ledger)[0] if line.service_id == _WEB]

    for serving in ("web-3", "50 % web-1, 50 % web-2"):
        other = judge("web", _WEB, lines, serving, "")
        assert (other.proof, other.revision, other.commit) == (ServingProof.UNPROVEN, serving, "")
    unknown = judge("web", _WEB, lines, "", "no credentials")
    assert (unknown.proof, unknown.revision, unknown.why) == (ServingProof.UNKNOWN, "web-2", "no credentials")
    assert judge("web", _WEB, lines, "", "").why == "it does not exist, or serves nothing"
    assert judge("web", _WEB, [], "web-1", "").last_at == ""


def test_a_job_is_proven_by_its_digest(ledger: Path) -> None:
    lines = [line for line in read(ledger)[0] if line.service_id == _JOB]

    assert judge("migrate", _JOB, lines, "sha256:9", "").proof is ServingProof.PROVEN
    assert judge("migrate", _JOB, lines, "sha256:8", "").proof is ServingProof.UNPROVEN


def test_without_a_connection_the_ledger_of_this_machine_counts(ledger: Path) -> None:
    text = (
        '[cloud]\nproject = "acme"\nregion = "europe-west1"\n[[deploy]]\nname = "web"\n'
        '[[deploy]]\nname = "migrate"\nkind = "job"\n[[deploy]]\nname = "new"\nregions = ["a", "b"]\n'
    )

    fleet = read_fleet(configs.read({b"buildguard.toml": text.encode()}), ledger, live=False)

    assert [(each.name, each.region, each.revision) for each in fleet] == [
        ("web", "europe-west1", "web-2"),
        ("migrate", "europe-west1", "sha256:9"),
        ("new", "a", ""),
        ("new", "b", ""),
    ]
    assert {each.proof for each in fleet} == {ServingProof.UNKNOWN}
    rows = list(table.as_table(fleet))
    assert rows[1].split()[:4] == ["web", "europe-west1", "web-2", "cccccccc"]
    answer = json.loads(history_json(HistoryView(DeployHistory((), (), ()), services=fleet)))
    assert [row["commit"] for row in answer["services"]] == [_COMMIT, _COMMIT, None, None]
    assert history_text(HistoryView(DeployHistory((), (), ()), services=fleet)).startswith("service")


@pytest.mark.interpreters
def test_doctor_without_a_repository_has_no_services(tmp_path: Path) -> None:
    assert json.loads(doctor_services.services_json(tmp_path))["services"] == []
