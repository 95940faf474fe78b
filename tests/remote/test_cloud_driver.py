"""The driver on every interpreter of this machine: what it writes down is what the engines on this machine say."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.engines import cloud_driver_script, cloud_request, cloud_results
from buildguard.engines.engine import Source
from buildguard.engines.pool import Pool, source_of
from buildguard.engines.verify_interpreter import probe_text, verification_sources
from buildguard.engines.worker import ProbeLimits
from buildguard.errors import UnprovenError
from buildguard.gcp.build_log import StepLogs
from buildguard.remote import cloud_driver
from buildguard.remote.manifest_rows import QUESTIONS
from buildguard.remote.wire import read_list
from buildguard.remote.workspace import Workspace, scan_workspace
from buildguard.stages.manifest import parse
from buildguard.system.channels import LocalSite
from tests.conftest import CASES, SOME_VERSIONS, interpreter
from tests.conftest import answers as answered
from tests.traced import interpreting

if TYPE_CHECKING:
    from buildguard.engines.cloud_results import ProbeResults

_DEEP = f"x = {'-' * 200_000}1\n".encode()


def _files() -> dict[str, bytes]:
    cases = sorted((CASES / "syntax").glob("*.py"))
    assert len(cases) > 50
    return {f"cases/{file.name}": file.read_bytes() for file in cases} | {
        "deep.py": _DEEP,
        "warns.py": b'x = "\\d"\n',
        "script": b"#!/usr/bin/env python3\nx = 1\n",
        "data.txt": b"no source\n",
        "nul.py": b"x = 1\0\n",
    }


def _drive(version: str, folder: Path, shares: int = 1, more: tuple[bytes, ...] = ()) -> list[bytes]:
    outputs = []
    for share in range(shares):
        out = folder.parent / f"out-{share}"
        out.mkdir()
        arguments = [one.replace("$$", "$") for one in cloud_driver_script.arguments(0, share, shares, more)]
        starting, variables = interpreting(version, interpreter(version))
        done = subprocess.run(
            [*starting, *arguments],
            cwd=folder,
            env={"BUILDER_OUTPUT": str(out), **variables},
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        outputs.append((out / "output").read_bytes())
    return outputs


def _told(folder: Path, outputs: list[bytes]) -> ProbeResults:
    return cloud_results.read_results(
        0, outputs, len(outputs), lambda name: (folder / ".buildguard/answers" / name).read_bytes()
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    for name, content in _files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("version", SOME_VERSIONS)
def test_the_same_outcomes_as_the_interpreter_engine(version: str, workspace: Path) -> None:
    aside = b"def f[T](): pass\n"
    (workspace / QUESTIONS.decode()).parent.mkdir()
    (workspace / QUESTIONS.decode()).write_bytes(b"%d\n%b" % (len(aside), aside))
    feature = tuple(one.data for one in verification_sources())

    told = _told(workspace, _drive(version, workspace, shares=2, more=feature))

    sources = [source_of(at, data) for at, data in enumerate([*_files().values(), aside, *feature])]
    asked = [one for one in sources if one.data != b"no source\n"]
    executable = Path(sys.executable) if interpreting(version, interpreter(version))[1] else interpreter(version)
    command = [str(executable), "-I", "-S", "-B", "-c", probe_text()]
    pool = Pool(LocalSite(lambda memory: [*command, str(memory)]), 2, ProbeLimits())
    try:
        expected = {asked[one.number].number: one for one in answered(pool.run, [one.data for one in asked])}
    finally:
        pool.close()
    for source in asked:
        assert told.outcome(source)[2:] == expected[source.number][2:], source.data[:200]
    assert told.outcome(source_of(0, b"no source\n")).unproven
    assert told.greeting.version.startswith(version)
    assert not told.unread


@pytest.mark.interpreters
def test_the_workspace_is_listed_as_a_manifest_has_it(workspace: Path) -> None:
    (workspace / "link").symlink_to("data.txt")
    (workspace / "script").chmod(0o755)

    told = _told(workspace, _drive("3.8", workspace))

    manifest = parse(told.manifest, "it")
    assert set(manifest.entries) == {*map(str.encode, _files()), b"link"}
    assert manifest.entries[b"script"].mode == "100755"
    assert manifest.entries[b"link"].sha256 == hashlib.sha256(b"data.txt").hexdigest()
    # nothing says what was sent: whatever is not too large is told, so that a person can say why it differs
    assert told.changed[b"data.txt"] == b"no source\n"


@pytest.mark.interpreters
def test_only_what_differs_is_told(workspace: Path) -> None:
    first = _told(workspace, _drive("3.8", workspace))
    (workspace / ".buildguard/manifest").write_bytes(first.manifest)
    (workspace / "data.txt").write_bytes(b"other\n")
    for share in ("out-0",):
        (workspace.parent / share / "output").unlink()
        (workspace.parent / share).rmdir()

    told = _told(workspace, _drive("3.8", workspace))

    assert told.changed == {b"data.txt": b"other\n"}


@pytest.mark.interpreters
def test_what_cannot_be_read_is_told(workspace: Path) -> None:
    (workspace / "gone.py").symlink_to("/nowhere")
    (workspace / "fifo.py").parent.mkdir(exist_ok=True)
    os.mkfifo(workspace / "fifo.py")

    told = _told(workspace, _drive("3.8", workspace))

    assert b"fifo.py" not in parse(told.manifest, "it").entries


@pytest.mark.interpreters
def test_nothing_of_the_workspace_is_run(workspace: Path, tmp_path: Path) -> None:
    for name in ("hashlib.py", "os.py", "sitecustomize.py", "typing.py", "json.py"):
        (workspace / name).write_text(f"open({str(tmp_path / 'was-run')!r}, 'w')\nraise SystemExit(7)\n")

    told = _told(workspace, _drive("3.8", workspace))

    assert not (tmp_path / "was-run").exists()
    assert told.answers


@pytest.mark.parametrize("version", SOME_VERSIONS)
def test_a_driver_that_arrives_changed_does_not_run(version: str, workspace: Path) -> None:
    arguments = [one.replace("$$", "$") for one in cloud_driver_script.arguments(0, 0, 1, ())]
    arguments[-1] = arguments[-1].replace("drive", "drivf")

    done = subprocess.run(
        [interpreter(version), *arguments], cwd=workspace, capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "the driver is not what was sent" in done.stderr


def test_arguments_keep_to_what_cloud_build_takes() -> None:
    arguments = cloud_driver_script.arguments(99, 7, 8, tuple(one.data for one in verification_sources()))

    assert len(arguments) < 100
    assert max(map(len, arguments)) <= 4000
    joined = "".join(arguments[7:])
    assert "$" not in joined.replace("$$", "")


# ------------------------------------------------------------------------------------------ strictly read


def _whole(workspace: Path) -> tuple[list[bytes], dict[str, bytes]]:
    outputs = _drive("3.8", workspace)
    folder = workspace / ".buildguard/answers"
    return outputs, {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.mark.interpreters
def test_whatever_is_cut_or_changed_is_refused(workspace: Path) -> None:
    outputs, files = _whole(workspace)
    chance = random.Random(7)

    for _ in range(200):
        name = chance.choice(sorted(files))
        data = bytearray(files[name])
        at = chance.randrange(len(data))
        if chance.random() < 0.5:
            del data[at:]
        else:
            data[at] ^= 1 << chance.randrange(8)
        broken = {**files, name: bytes(data)}
        with pytest.raises(UnprovenError):
            cloud_results.read_results(0, outputs, 1, broken.__getitem__)
        # even where its digest were to fit, nothing else than an answer is one
        words = json.loads(outputs[0])
        words[name] = hashlib.sha256(data).hexdigest()
        try:
            told = cloud_results.read_results(0, [json.dumps(words).encode()], 1, broken.__getitem__)
            found = [told.outcome(source_of(0, one)) for one in _files().values()]
        except (UnprovenError, ValueError):
            continue
        assert all(one.number == 0 for one in found)


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (b"", "the build step printed no result"),
        (b"nonsense", "cannot be read"),
        (b"[]", "not one of buildguard's"),
        (b'{"engine": "cloud", "share": "1/2"}', "not one of buildguard's"),
        (b'{"engine": "cloud", "share": "0/1", "wrong": "no room"}', "no room"),
        (b'{"engine": "cloud", "share": "0/1"}', "is not what the step wrote"),
    ],
)
def test_steps_that_tell_something_else(output: bytes, words: str) -> None:
    with pytest.raises(UnprovenError, match=words):
        cloud_results.read_results(0, [output], 1, lambda _name: b"")


@pytest.mark.parametrize("outputs", [[], [b"", b""]])
def test_a_step_without_a_result_is_explained_by_its_log(outputs: list[bytes]) -> None:
    logs = StepLogs()
    for line in (
        'Cloud Build: Step #0 - "probe-0-0": of another step',
        'Cloud Build: Step #1 - "probe-0-1":   File "driver", line 30',
        "Cloud Build: Step #1: SyntaxError: f-string: expecting '}'",
        "Cloud Build: Finished Step #1",
        'Cloud Build: Step #1 - "probe-0-1": ',
        'Cloud Build: Step #11 - "probe-1-1": of a third one',
    ):
        logs.add(line)
    ends = [cloud_results.StepEnd(1, logs.last(step), "https://logs.example") for step in (1, 0)]

    with pytest.raises(UnprovenError) as caught:
        cloud_results.read_results(0, outputs, 2, lambda _name: b"", ends)

    assert caught.value.what == (
        "the build step printed no result (exit 1); last lines of its log:"
        " File \"driver\", line 30 | SyntaxError: f-string: expecting '}'"
    )
    assert caught.value.hint == "the whole log: https://logs.example"
    assert logs.last(2) == ()


def test_an_answer_for_other_bytes_is_none() -> None:
    source = source_of(1, b"x = 1\n")
    greeting: Any = None
    told = cloud_results.ProbeResults(
        greeting, {source.digest: (b"A", b"0", b"7", source.digest.hex().encode())}, {}, {}, b""
    )

    with pytest.raises(ValueError, match="another size"):
        told.outcome(source)
    assert "did not compile these bytes" in told.outcome(Source(2, b"y", hashlib.sha256(b"y").digest())).unproven


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ([b"T", b"0", b"6"], "more than 20 seconds"),
        ([b"D", b"0", b"6", b"", b"-24", b"0"], "more than 40 seconds"),
        ([b"D", b"0", b"6", b"", b"-9", b"0"], "was killed, from outside"),
        ([b"D", b"0", b"6", b"", b"1", b"0"], "ended before it answered"),
        ([b"D", b"0", b"6", b"", b"-11", str(5 << 30).encode()], "more than 6 GiB"),
    ],
)
def test_what_our_own_limits_ended_is_unproven(record: list[bytes], words: str) -> None:
    source = source_of(1, b"x = 1\n")
    told = cloud_results.ProbeResults(None, {source.digest: tuple(record)}, {}, {}, b"")  # type: ignore[arg-type]

    assert words in told.outcome(source).unproven


def test_a_crash_is_the_files_own_doing() -> None:
    source = source_of(1, b"x = 1\n")
    told = cloud_results.ProbeResults(None, {source.digest: (b"D", b"0", b"6", b"", b"-11", b"0")}, {}, {}, b"")  # type: ignore[arg-type]

    outcome = told.outcome(source)

    assert outcome.rejected is not None
    assert outcome.rejected.crashed


# ------------------------------------------------------------------------------------------ the build


def test_shares_fit_into_a_build() -> None:
    assert cloud_request.share_count(1, 1) == 1
    assert cloud_request.share_count(4001, 1) == 2
    assert cloud_request.share_count(1_000_000, 1) == 8
    assert cloud_request.share_count(1_000_000, 40) * 40 <= 100


def test_a_pool_and_an_account_are_part_of_the_build() -> None:
    made = cloud_request.plan_build(
        ["python:3.11"],
        1,
        lambda *_: [],
        ({"storageSource": {}}, "gs://b/x"),
        cloud_request.BuildOptions("a-pool", "an-account"),
    )

    assert made["options"] == {"pool": {"name": "a-pool"}, "logging": "CLOUD_LOGGING_ONLY"}
    assert made["serviceAccount"] == "an-account"


def test_lists_are_read_whole_or_not_at_all() -> None:
    data = b"2\n1:a3:b:c"

    assert read_list(data, 0) == ([b"a", b"b:c"], len(data))
    assert all(read_list(data[:end], 0) is None for end in range(len(data)))


# ------------------------------------------------------------------------------------------ its functions


@pytest.mark.parametrize(
    ("path", "mode", "head", "source"),
    [
        (b"a.py", 0o644, b"", True),
        (b"a.pyw", 0o644, b"", True),
        (b"deep/a.pyi", 0o644, b"", False),  # nothing runs it
        (b"run", 0o755, b"#!/usr/bin/env python3\n", True),
        (b"run", 0o755, b"#!/bin/sh\n", False),
        (b"data.txt", 0o644, b"#!/usr/bin/env python3\n", False),
        (b".git/a.py", 0o644, b"", False),
        (b".buildguard/step.py", 0o644, b"", False),
    ],
)
def test_what_counts_as_a_source(path: bytes, mode: int, head: bytes, source: bool) -> None:
    assert cloud_driver.is_source(path, mode, head) is source


def test_sources_that_come_with_the_driver_are_numbered_first(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workspace / QUESTIONS.decode()).parent.mkdir()
    (workspace / QUESTIONS.decode()).write_bytes(b"4\nx=1\n0\n")
    monkeypatch.chdir(workspace)

    listed = cloud_driver.list_sources(scan_workspace(), [b"y = 1\n"])

    assert [source.number for source in listed] == list(range(len(listed)))
    assert [source.data for source in listed[:4]] == [b"y = 1\n", b"x=1\n", b"", None]
    paths = {source.path for source in listed[3:]}
    assert {b"deep.py", b"nul.py", b"script"} <= paths
    assert b"data.txt" not in paths


def test_a_folder_that_cannot_be_opened_leaves_no_manifest() -> None:
    with pytest.raises(OSError, match="secret cannot be opened"):
        cloud_driver.rows(Workspace({}, [b"secret"], []))


def test_a_step_that_fails_says_why_in_its_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BUILDER_OUTPUT", str(tmp_path))
    (tmp_path / ".buildguard").write_bytes(b"a file in the place of the folder")

    assert cloud_driver.drive(cloud_driver.Task(0, 1, 2, 1 << 30, 10, 1 << 31, 20, ())) == 0

    answer = json.loads((tmp_path / "output").read_bytes())
    assert (answer["engine"], answer["share"]) == ("cloud", "1/2")
    assert "exists" in answer["wrong"] or "directory" in answer["wrong"]
