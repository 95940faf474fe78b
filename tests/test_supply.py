"""What this project is made from: locked, under licences that let it be given on, and asked for vulnerabilities."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import audit
from tests.conftest import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
_LOCK = (REPOSITORY / "requirements-dev.txt").read_text("utf-8")
_PINS = dict(re.findall(r"^(\S+?)==(\S+)", _LOCK, re.MULTILINE))
# What lets a user give it on in a product of any licence: what a licence asks beyond a notice holds for its own files only.
_LICENCES = {
    "3-Clause BSD License",
    "Apache Software License",
    "Apache-2.0",
    "Apache-2.0 OR BSD-2-Clause",
    "Apache-2.0 OR BSD-3-Clause",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "MIT",
    "MIT License",
    "MIT-0",
    "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)",
    "PSF-2.0",
    "Python Software Foundation License",
}


def _asked_for() -> list[Requirement]:
    extras, groups = _PROJECT["project"]["optional-dependencies"], _PROJECT["dependency-groups"]
    rows = [*_PROJECT["project"]["dependencies"], *extras["cloud"], *extras["fast"], *groups["build"], *groups["test"]]
    return [Requirement(row) for row in rows if isinstance(row, str)]


@pytest.mark.parametrize("wanted", _asked_for(), ids=lambda wanted: wanted.name)
def test_the_lock_holds_what_is_asked_for(wanted: Requirement) -> None:
    assert wanted.specifier.contains(_PINS[canonicalize_name(wanted.name)])


def test_what_the_action_installs_is_part_of_the_lock() -> None:
    text = (REPOSITORY / "requirements.txt").read_text("utf-8")
    blocks = re.findall(r"^(\S+)==(\S+)[^\\]*((?:\\\s+--hash=sha256:[0-9a-f]{64}\s*)+)", text, re.MULTILINE)

    assert {name: version for name, version, _hashes in blocks}.items() <= _PINS.items()
    assert {canonicalize_name(Requirement(row).name) for row in _PROJECT["project"]["dependencies"]} <= {
        name for name, _version, _hashes in blocks
    }
    assert len(blocks) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 20
    assert all(set(hashes.split()) - {"\\"} <= set(_LOCK.split()) for _name, _version, hashes in blocks)


def test_the_lock_names_no_place_and_a_hash_for_each() -> None:
    assert len(_PINS) > 80
    assert re.findall(r"://|^\s*-[^-]|^/|--(?!hash|extra|group|custom)\w+", _LOCK, re.MULTILINE) == []
    blocks = re.split(r"\n(?=[a-z])", _LOCK)[1:]
    assert len(blocks) == len(_PINS)
    assert [one for one in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", one)] == []


def test_what_runs_here_is_what_is_locked() -> None:
    """In CI by `scripts/test`; elsewhere a person may have another environment, and is told."""
    others = {
        name: found.version
        for name in _PINS
        for found in importlib.metadata.distributions(name=name)
        if found.version != _PINS[name]
    }

    assert others == {}, "./scripts/test installs what is locked, ./scripts/lock locks what is newest"


def _closure(wanted: Iterable[str], extras: frozenset[str] = frozenset()) -> set[str]:
    """Every distribution that buildguard brings to a user, with all extras."""
    found: set[str] = set()
    waiting = [(name, extras) for name in wanted]
    while waiting:
        name, extras = waiting.pop()
        for row in importlib.metadata.requires(name) or ():
            one = Requirement(row)
            applies = one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in extras | {""})
            if applies and canonicalize_name(one.name) not in found:
                found.add(canonicalize_name(one.name))
                waiting.append((one.name, frozenset(one.extras)))
    return found - {"buildguard-gcp"}


@pytest.mark.interpreters
def test_every_licence_lets_it_be_given_on() -> None:
    names = _closure(["buildguard-gcp"], frozenset({"all", "cloud", "fast"}))
    assert {"click", "docker", "jinja2", "libcst", "zlib-ng", "google-cloud-build", "grpcio"} <= names
    command = [sys.executable, "-m", "piplicenses", "--from=mixed", "--format=json", "--packages", *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    licences = {canonicalize_name(row["Name"]): row["License"] for row in json.loads(done.stdout)}

    assert set(licences) == names
    assert {name: one for name, one in licences.items() if not set(one.split("; ")) <= _LICENCES} == {}


_KNOWN = {"name": "click", "version": "8.1.0", "vulns": []}
_BROKEN = {"name": "jinja2", "version": "3.1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.6"]}]}
_UNKNOWN = {"name": "docker", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("rows", "status", "line"),
    [
        ([_KNOWN], 0, "audited: 1 locked releases, no known vulnerability"),
        ([_KNOWN, _BROKEN], 1, "jinja2 3.1.0: PYSEC-1, repaired in 3.1.6"),
        ([_KNOWN, _UNKNOWN], 1, "not audited, though others were: docker"),
        ([_UNKNOWN], 0, "not audited: the database knows none of the locked releases, so it was not the real one"),
    ],
)
def test_an_audit_says_what_it_is(rows: list[dict[str, object]], status: int, line: str) -> None:
    assert audit.judged(json.dumps({"dependencies": rows}), "") == (status, [line])


def test_an_audit_without_an_answer_is_none() -> None:
    assert audit.judged("", "no route to host") == (0, ["not audited: no route to host"])
