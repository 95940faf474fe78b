"""Readers of foreign bytes, fed with what no one would write: a reader answers or raises an error of ours, and nothing else.

`python -m tests.trust.fuzz [TRIES]` goes on for long; what it finds becomes a row of `FOUND`.
"""

from __future__ import annotations

import functools
import random
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING

from buildguard.check import text_rules
from buildguard.diagnose import known_messages, log_parser
from buildguard.diagnostic import escape_text
from buildguard.docker.native_modules import ElfReader
from buildguard.errors import GuardError
from buildguard.fstrings import rules as fstrings_rules
from buildguard.project import compose, config, contexts, dockerfile, image_build, ledger, version_files
from buildguard.project.cloudbuild import guard_step as steps
from buildguard.project.cloudbuild import lint
from buildguard.project.ignore import docker, gcloud
from buildguard.project.image_reference import parse as image_of
from buildguard.remote.wire import read_list
from buildguard.stages import manifest
from buildguard.stages.archives import gzip as archives_gzip
from buildguard.stages.archives.tar import TarReader
from tests.conftest import REPOSITORY
from tests.diagnose.messages import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

_SLOW = 2.0  # seconds of processor that no reader may take for a few kilobytes


def _ignored(rules: Callable[[Callable[[str], bytes | None]], object], data: bytes) -> None:
    found = rules(lambda name: data if name.endswith("ignore") else None)
    for path in ("a.py", "app/b.py", "app/deep/c.txt", ".git", "é/ü.py"):
        found.drops(path)  # type: ignore[attr-defined]


def _log(data: bytes) -> None:
    read = log_parser.read(data)
    known_messages.match_messages(read.lines)
    for one in read.failures:
        escape_text(one.words)


def _lists(data: bytes) -> None:
    at = 0
    while (found := read_list(data, at)) is not None:
        at = found[1]


def _elf(data: bytes) -> None:
    reader = ElfReader()
    for at in range(0, len(data), 100):
        reader.feed(data[at : at + 100])
    if reader.target is not None:
        reader.target.misfit("linux/amd64", frozenset({"glibc"}))


def _recipe(data: bytes) -> None:
    dockerfile.resolve_final_stage(data, {"A": "1"})
    image_build.build_model(image_build.BuildInput(data, ["a.py", "app/b.py"]))
    contexts.guess("app/Dockerfile", data, contexts.ProjectPaths([b"a.py", b"app/Dockerfile", b"app/b.py"]))


def _tar(data: bytes) -> None:
    reader = TarReader(iter([data[at : at + 700] for at in range(0, len(data), 700)]))
    for _member in reader:
        for _piece in reader.content():
            pass


def _source(data: bytes) -> None:
    text_rules.findings(data)
    text_rules.refused_as_script(data)
    for minor in (8, 11, 12):
        fstrings_rules.findings(data, minor)


def _ledger(data: bytes) -> None:
    lines, _broken = ledger.parse(data.splitlines())
    ledger.group_runs(ledger.merge_lines(lines))


READERS: dict[str, Callable[[bytes], object]] = {
    "config": lambda data: config.read({b"buildguard.toml": data}),
    "pyproject": lambda data: config.read({b"pyproject.toml": data}),
    "Dockerfile": _recipe,
    "cloudbuild.yaml": lambda data: lint.problems(data, "cloudbuild.yaml", {}),
    "compose.yaml": lambda data: compose.builds({"compose.yaml": data, "compose.override.yaml": data}),
    "app.yaml": lambda data: version_files.declarations(data, "app.yaml"),
    "Pipfile": lambda data: version_files.declarations(data, "Pipfile"),
    ".tool-versions": lambda data: version_files.declarations(data, ".tool-versions"),
    ".gcloudignore": lambda data: _ignored(lambda read: gcloud.GcloudIgnoreRules(read, has_git=True), data),
    ".dockerignore": lambda data: _ignored(lambda read: docker.DockerIgnoreRules(read, "", "Dockerfile"), data),
    "manifest": lambda data: manifest.parse(data, "it"),
    "log": _log,
    "ledger": _ledger,
    "step file": steps.read,
    "answers": _lists,
    "image name": lambda data: image_of(data.decode("utf-8", "replace")),
    "ELF": _elf,
    "tar": _tar,
    "gzip": lambda data: list(archives_gzip.gunzip(iter([data]))),
    "source": _source,
}


@functools.cache
def seeds() -> dict[str, list[bytes]]:
    """What people do write, by reader."""
    import gzip
    import io
    import tarfile

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("a.py", "é" * 80, "deep/" * 30 + "x"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    outage = REPOSITORY / "examples/outage"
    rows = b"100644 3 " + b"0" * 64 + b" a.py\0"
    line = ledger.LedgerLine._fields
    return {
        "config": [b'target = ["3.11"]\n[[service]]\nname = "a"\n[deploy]\ntraffic = [10, 100]\nrequired-env = ["A"]\n'],
        "pyproject": [(REPOSITORY / "pyproject.toml").read_bytes()],
        "Dockerfile": [(outage / "Dockerfile").read_bytes(), (REPOSITORY / "Dockerfile").read_bytes(),
                       b'# syntax=docker/dockerfile:1\nARG A=3.11\nFROM --platform=linux/amd64 python:${A}-slim AS b\nRUN <<E\nx\nE\nCOPY --from=b ["a", "/b"]\n'],
        "cloudbuild.yaml": [(REPOSITORY / "cloudbuild.yaml").read_bytes(),
                            b"steps:\n- name: a\n  id: x\n  waitFor: ['-']\n  args: [$_A, \"${PROJECT_ID}\"]\nsubstitutions: {_A: b}\ntimeout: 60s\n"],
        "compose.yaml": [b"services:\n  web:\n    build:\n      context: ${DIR:-.}\n      dockerfile: docker/Dockerfile\n      args: [PY=3.11, A]\n  job: {build: app}\n"],
        "app.yaml": [b"runtime: python311\nentrypoint: x\nruntime_config: {runtime_version: '3.11'}\n"],
        "Pipfile": [b'[requires]\npython_version = "3.11"\n'],
        ".tool-versions": [b"python 3.11.7 3.12.1\nnodejs 20\n"],
        ".gcloudignore": [b"#!include:.gitignore\n*.pyc\n!a.py\n/app/**/x\n[a-z]?\\ \n"],
        ".dockerignore": [b"**/*.pyc\n!app/*.py\n[^a]b\n\\x\n# c\n"],
        "manifest": [rows, b"0" * 64 + b"  a.py\n\\" + b"0" * 64 + b"  a\\nb\n", b'{"schema": 1, "entries": [], "digest": "sha256:' + b"0" * 64 + b'"}'],
        "log": [(outage / "three-deploys.log").read_bytes(), "\n".join(one for some in MESSAGES.values() for one in some).encode(),
                b'{"textPayload": "Traceback (most recent call last):", "timestamp": "2026-11-17T09:00:00Z"}\n'],
        "ledger": [b"{%b}\n" % b", ".join(b'"%b": "x"' % one.encode() for one in line)],
        "step file": [steps.text(["a/**"], ["b"])],
        "answers": [b"2:3:abc4:defg"],
        "image name": [b"europe-docker.pkg.dev/p/r/i:3.11-slim@sha256:" + b"0" * 64, b"localhost:5000/a"],
        "ELF": [b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0" + bytes(200) + b"\0libc.so.6\0"],
        "tar": [made.getvalue()],
        "gzip": [gzip.compress(made.getvalue(), mtime=0)],
        "source": [b"# coding: utf-8\nx = f'{a!r:>{b}}' f\"{c['d']}\"\n", b"\xef\xbb\xbfx = rf'{x}\\n'\n", "π = f'''{\n1}'''\r\n".encode()],
    }  # fmt: skip


_WORDS = (b"\0", b"\n", b"\r", b"\xff\xfe", b"\xef\xbb\xbf", b"'", b'"', b"{", b"}", b"[", b"(", b"\\", b"$", b"${", b"!", b"**", b"-1", b"1e999",
          b"9" * 40, b"&a ", b"*a", b"<<: ", b"%", "\u202e".encode(), "\ud800".encode("utf-8", "surrogatepass"), b"\x1b[31m", b"\t", b" " * 300, b"#", b"=", b":", b"null")  # fmt: skip


def mutated(data: bytes, rng: random.Random, others: bytes) -> bytes:
    """A few changes: bytes, words, pieces moved, doubled, dropped, or taken from another kind of file."""
    for _ in range(rng.choice((1, 1, 2, 4, 12))):
        at, end = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
        way = rng.randrange(7)
        if way == 0 and data:
            data = data[: at - 1] + bytes([rng.randrange(256)]) + data[at:]
        elif way == 1:
            data = data[:at] + rng.choice(_WORDS) * rng.choice((1, 1, 3, 60)) + data[at:]
        elif way == 2:
            data = data[:at] + data[end:]
        elif way == 3:
            data = data[:end] + data[at:end][:500] + data[end:]
        elif way == 4:
            data = data[:at]
        elif way == 5:
            start = rng.randrange(len(others))
            data = data[:at] + others[start : start + rng.randrange(80)] + data[at:]
        else:
            lines = data.split(b"\n")
            rng.shuffle(lines)
            data = b"\n".join(lines)
        data = data[:20_000]
    return data


# What was found once, by reader: it stays found.
FOUND: tuple[tuple[str, bytes], ...] = (
    (".dockerignore", b"[[a]\n[a--b]x\n"),
    ("cloudbuild.yaml", b"steps:\n- name: a\n  <<: b\n"),
    ("cloudbuild.yaml", b"steps:\n- <<: [b, {name: a}]\n"),
    ("Dockerfile", b"# syntax=docker/dockerf" + b" " * 18_000 + b"ile\nFROM a\n"),
)


def failed(name: str, data: bytes) -> str:
    """What a reader did that no reader may; empty where it answered, or raised an error of ours."""
    started = time.process_time()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            READERS[name](data)
    except (GuardError, ValueError) as error:
        # a ValueError that is no error of ours is one where a reader is documented to raise it
        if not isinstance(error, GuardError) and name != "answers":
            return "".join(traceback.format_exception(error)[-4:])
    except Exception as error:  # noqa: BLE001  that is the question
        return "".join(traceback.format_exception(error)[-4:])
    spent = time.process_time() - started
    return f"took {spent:.1f} s" if spent > _SLOW else ""


def fuzz(tries: int, seed: int) -> list[tuple[str, bytes, str]]:
    """Every reader that often; what failed, with the bytes that did it."""
    found = []
    every = seeds()
    others = b"".join(one for some in every.values() for one in some)
    for name in READERS:
        rng = random.Random(f"{name} {seed}")
        for _ in range(tries):
            data = mutated(rng.choice(every[name]), rng, others)
            if words := failed(name, data):
                found.append((name, data, words))
    return found


def main(tries: int) -> int:
    """As often as that, in rounds of a hundred."""
    total = 0
    for seed in range(max(1, tries // 100)):
        found = fuzz(100, seed)
        total += len(found)
        for name, data, words in found[:5]:
            print(f"{name}: {data!r}\n{words}", flush=True)
    print(f"{tries} tries for each of {len(READERS)} readers, {total} failed")
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
