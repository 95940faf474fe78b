"""Running the step file as its step does: the loader's `-c`, a workspace, and what the step gave."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from buildguard.engines.interpreter import local_probe
from buildguard.engines.verify_interpreter import facts_text
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.source_archive import pack
from buildguard.remote.wire import read_list
from buildguard.stages import manifest as manifests
from buildguard.stages.filesystem_snapshot import DiskSnapshotter
from buildguard.stages.git_objects import commit_of
from buildguard.stages.manifest import Manifest
from buildguard.system import git
from buildguard.system.pythons import candidates
from tests.conftest import interpreter, missing
from tests.traced import interpreting
from tests.wasm import ask_wasm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLAGS = ("-I", "-S", "-B", "-c")


class Ran(NamedTuple):
    """What a step ended with: status, what it printed, and the machine's form of it."""

    code: int
    out: str
    answer: dict[str, Any]

    def found(self, key: str) -> dict[str, str]:
        """The code of each path among the differences or diagnostics."""
        return {one["path"]: one["code"] for one in self.answer[key]}


def install(workspace: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> str:
    """Write the step file into a workspace; returns what its step is started with."""
    data = step.text(include, exclude)
    file = workspace / step.NAME
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    return step.loader(data)


@functools.cache
def release(version: str) -> Path:
    """An interpreter of this machine of exactly that release."""
    for path, _where in candidates(version.rpartition(".")[0], Path("/nowhere")):
        said = subprocess.run([path, "-V"], capture_output=True, text=True, check=True).stdout
        if said.split()[-1] == version:
            return path
    missing(f"Python {version}", f"pyenv install {version}")
    raise AssertionError


def run(
    workspace: Path, code: str, version: str = "3.11", env: Mapping[str, str] | None = None, words: Sequence[str] = ()
) -> Ran:
    """Run a step in a workspace with an interpreter of this machine."""
    outputs = workspace.parent / f"outputs-{workspace.name}"
    outputs.mkdir(exist_ok=True)
    (outputs / "output").unlink(missing_ok=True)
    executable = release(version) if version.count(".") > 1 else interpreter(version)
    starting, variables = interpreting(version, executable)
    done = subprocess.run(
        [*starting, *FLAGS, code, *words],
        cwd=workspace,
        env={"PATH": os.environ["PATH"], "BUILDER_OUTPUT": str(outputs), **variables, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=300,
    )
    answer = (outputs / "output").read_bytes() if (outputs / "output").exists() else b"{}"
    assert len(answer) <= 50_000
    return Ran(done.returncode, (done.stdout + done.stderr).decode(), json.loads(answer))


def carry(workspace: Path) -> str:
    """Write the manifest of a workspace into it, as an archive carries it; returns the root digest."""
    snapshot = DiskSnapshotter("dir:.", workspace, None).snapshot()
    manifest = Manifest(snapshot.manifest.entries.values())
    (workspace / os.fsdecode(manifests.CARRIED)).parent.mkdir(exist_ok=True)
    (workspace / os.fsdecode(manifests.CARRIED)).write_bytes(manifest.rows())
    return manifest.digest


def unpacked(repo: Path, folder: Path) -> str:
    """The archive that is sent of a repository's commit, unpacked by GNU tar; returns the root digest."""
    repository = git.repository_of(repo)
    assert repository is not None
    archive = folder.with_suffix(".tgz")
    packed = pack(commit_of(repository, "HEAD"), archive)
    folder.mkdir()
    subprocess.run(["tar", "-xzf", archive, "-C", folder], check=True)
    return packed.written.manifest.digest


def facts_request() -> bytes:
    """What gives a probe the program that reads imports."""
    text = facts_text()
    return b"0 %d 30 =\n%b" % (len(text), text)


def facts_of(version: str, source: bytes) -> bytes:
    """The facts of a source, as the probe of a Python of this machine reads them."""
    command = list(local_probe(interpreter(version), 2 << 30))
    asked = facts_request() + b"0 %d 30\n%b" % (len(source), source)
    done = subprocess.run(command, input=asked, capture_output=True, check=True)
    first = read_list(done.stdout, 0)
    assert first is not None
    answer = read_list(done.stdout, first[1])
    assert answer is not None
    return answer[0][11]


_WASM_PROGRAM = """
import json, sys
facts = {}
exec(compile(PROBE_FACTS, "<facts>", "exec"), facts)
answers = []
for text in json.loads(ASKED):
    try:
        code = compile(text, "<source>", "exec", 0, True)
    except SyntaxError as error:
        answers.append(["refused", str(error)])
    else:
        answers.append(["read", facts["facts_here"](text.encode(), code).decode()])
json.dumps([sys.version.split()[0], answers])
"""


def newer_facts_of(version: str, sources: Sequence[str], folder: Path) -> tuple[str, list[tuple[str, str]]]:
    """The version of a Python in WebAssembly; for each source, "read" and its facts as that Python reads them, or "refused" and why."""
    program = _WASM_PROGRAM.replace("PROBE_FACTS", repr(facts_text().decode()))
    said, answers = ask_wasm(version, program, list(sources), folder)
    return said, [(verdict, text) for verdict, text in answers]
