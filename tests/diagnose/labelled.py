"""Labelled failure logs: each with the repository that it belongs to, and what a diagnosis may answer."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from buildguard.diagnose.hypotheses import Diagnosis
from buildguard.diagnose.run import diagnose

CASES = Path(__file__).parents[1] / "cases/logs.jsonl"
OWN_CASES = Path(__file__).parents[1] / "cases/logs"  # from programs that were made to fail
RIGHT, UNPLACED, UNKNOWN, WRONG, HEALTHY = "right", "unplaced", "unknown", "wrong", "healthy"


class LabelledLog(NamedTuple):
    """A log with its repository (`files`, `crlf`, `binary` and `modes` by path), the accepted causes and places."""

    id: str
    kind: str
    log: str
    expected: tuple[str, ...]
    places: tuple[str, ...]
    repository: dict[str, Any]


def read_cases(file: Path = CASES) -> Iterator[LabelledLog]:
    """The cases of a file, one for each line."""
    for line in file.read_text("utf-8").splitlines():
        case = json.loads(line)
        yield LabelledLog(case["id"], case["class"], case["log"], tuple(case["expected"]), tuple(case["place"]), case)


def make_repository(case: LabelledLog, root: Path) -> None:
    """The case's repository, with one commit; files of `work_crlf` have Windows line ends on disk only."""
    root.mkdir(parents=True)
    table = case.repository
    content = {name: text.encode() for name, text in table["files"].items()}
    content |= {name: content[name].replace(b"\n", b"\r\n") for name in table.get("crlf", ())}
    content |= {name: base64.b64decode(text) for name, text in table.get("binary", {}).items()}
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(int(table.get("modes", {}).get(name, "644"), 8))
    person = {f"GIT_{who}_{what}": "case" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = {**os.environ, **person, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    settings = ("-c", "core.autocrlf=false", "-c", "gc.auto=0")
    for words in (("init", "-q"), ("add", "-A", "-f"), ("commit", "-q", "--no-verify", "-m", "case")):
        subprocess.run(["git", *settings, *words], cwd=root, env=env, check=True, capture_output=True)
    for name in table.get("work_crlf", ()):
        (root / name).write_bytes((root / name).read_bytes().replace(b"\n", b"\r\n"))


def grade(case: LabelledLog, diagnosis: Diagnosis) -> str:
    """How an answer compares with the label."""
    if diagnosis.cause == "healthy":
        return HEALTHY
    if diagnosis.cause not in case.expected:
        return UNKNOWN if diagnosis.cause == "unknown" else WRONG
    return RIGHT if not case.places or _is_placed(case, diagnosis) else UNPLACED


def _is_placed(case: LabelledLog, diagnosis: Diagnosis) -> bool:
    places = [(place.path, f"{place.path}:{place.line}") for place in diagnosis.place]
    return any(
        wanted in place or place[0].startswith(f"{wanted.rstrip('/')}/") for wanted in case.places for place in places
    )


def answer(case: LabelledLog, root: Path) -> Diagnosis:
    """The diagnosis of a case whose repository is in `root`."""
    return diagnose(root, case.log.encode())
