"""Generated images that install wheels: what is predicted before the build, what the build does, and what is found in the image.

Each has one fault or none: of a wheel, a variable, or a shared library of a compiled module. A few by default, all of them with
BUILDGUARD_ALL=1.
"""

from __future__ import annotations

import ensurepip
import io
import os
import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import pytest

from buildguard.diagnostic import Severity
from buildguard.project.config import Config
from buildguard.stages.filesystem import FolderStage
from buildguard.startup.installs.check import check_installs
from buildguard.startup.run import check_startup
from tests import images
from tests.conftest import Project, interpreter
from tests.startup.wheels import Release, write_wheel

_BASE = "python:3.11-slim"
_PIP = """#!/usr/local/bin/python3
import runpy, sys
sys.path.insert(0, "/opt/pip")
runpy.run_module("pip", run_name="__main__")
"""
_MODULE = """#include <Python.h>
extern int answer(void);
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "fast", 0, -1, 0};
PyMODINIT_FUNC PyInit_fast(void) { return answer() ? PyModule_Create(&module) : 0; }
"""
_TAG = "cp311-cp311-linux_x86_64"
_FILE = "fast.cpython-311-x86_64-linux-gnu.so"
_MACHINE = 18  # where the header of an ELF file has its processor
_AARCH64 = b"\xb7\x00"
_MAIN = """import http.server
import os
import sys

import {module}

{code}
if __name__ == "__main__":
    http.server.HTTPServer(("", int(os.environ["PORT"])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
_TEMPLATE = "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [run, deploy, svc, --image, img, --set-env-vars, LEVEL=info]\n"


class Shown(Enum):
    """What shows the fault of an image first."""

    NOTHING = "it has none"
    BEFORE = "a finding before the build"
    BUILD = "the build"
    IMAGE = "the image that was built"


class Case(NamedTuple):
    """One way to go wrong or right: what is installed, the code of main.py, and what shows the fault."""

    shown: Shown
    wheels: tuple[Release, ...] = ()
    wanted: str = "fast"
    code: str = ""
    env: str = ""
    library: str = ""
    source: bool = False


_PURE = (Release("fast"),)
_LINUX = (Release("fast", _TAG),)
_CASES = {
    "wheel": Case(Shown.NOTHING, _PURE),
    "pinned": Case(Shown.NOTHING, _PURE, "fast==1.0"),
    "abi3": Case(Shown.NOTHING, (Release("fast", "cp39-abi3-manylinux2014_x86_64"),)),
    "other-python": Case(Shown.BEFORE, (Release("fast", "cp310-cp310-linux_x86_64"),)),
    "musl": Case(Shown.BEFORE, (Release("fast", "cp311-cp311-musllinux_1_2_x86_64"),)),
    "arm": Case(Shown.BEFORE, (Release("fast", "cp311-cp311-manylinux_2_17_aarch64"),)),
    "newer-version": Case(Shown.BEFORE, _PURE, "fast>=2"),
    "requires-python": Case(Shown.BEFORE, (Release("fast", python=">=3.12"),)),
    "needs": Case(Shown.NOTHING, (Release("fast", needs=("more",)), Release("more"))),
    "needs-marker": Case(Shown.NOTHING, (Release("fast", needs=("more ; python_version < '3.11'",)),)),
    "needs-missing": Case(Shown.BEFORE, (Release("fast", needs=("more",)),)),
    "needs-extra": Case(Shown.BEFORE, (Release("fast", needs=("more ; extra == 'x'",)),), "fast[x]"),
    "needs-other-python": Case(
        Shown.BEFORE, (Release("fast", needs=("more",)), Release("more", "cp313-cp313-linux_x86_64"))
    ),
    "compiled-source": Case(Shown.BUILD, source=True),
    "library": Case(Shown.NOTHING, _LINUX, library="beside"),
    "library-missing": Case(Shown.IMAGE, _LINUX, library="missing"),
    "library-musl": Case(Shown.IMAGE, _LINUX, library="musl"),
    "library-arm": Case(Shown.IMAGE, _LINUX, library="arm"),
    "library-unused": Case(Shown.NOTHING, (*_PURE, Release("other", _TAG)), "fast\nother", library="missing"),
    "variable": Case(Shown.BEFORE, _PURE, code='URL = os.environ["URL"]\n'),
    "variable-set": Case(Shown.NOTHING, _PURE, code='URL = os.environ["URL"]\n', env="ENV URL=x\n"),
    "variable-or-exit": Case(Shown.BEFORE, _PURE, code='URL = os.environ.get("URL") or sys.exit("no URL")\n'),
    "variable-default": Case(Shown.NOTHING, _PURE, code='URL = os.getenv("URL", "x")\n'),
    "variable-caught": Case(
        Shown.NOTHING, _PURE, code='try:\n    URL = os.environ["URL"]\nexcept KeyError:\n    URL = ""\n'
    ),
    "variable-tested": Case(Shown.NOTHING, _PURE, code='if "URL" in os.environ:\n    URL = os.environ["URL"]\n'),
    "variable-dotenv": Case(
        Shown.BEFORE, _PURE, code='if not os.getenv("URL"):\n    raise SystemExit("URL is not set")\n'
    ),
}
_REFUSED = re.compile(r"No matching distribution|requires a different Python|gcc")  # what pip says, and nothing else
# How the image gets there: its COPY lines and its command.
_LAYOUTS = {
    "flat": ("COPY . .\n", 'CMD ["python3", "main.py"]\n'),
    "named": ("COPY wheels wheels\nCOPY requirements.txt main.py ./\n", "CMD exec python3 main.py\n"),
    "module": ("COPY . /srv/\n", 'ENTRYPOINT ["python3"]\nCMD ["-m", "main"]\n'),
}


def _chosen() -> list[tuple[str, str]]:
    every = [(layout, name) for layout in _LAYOUTS for name in _CASES]
    few = [("flat", "needs-missing"), ("named", "library-missing"), ("module", "library")]
    return every if os.environ.get("BUILDGUARD_ALL") else few


class Workshop(NamedTuple):
    """What the images are made of: the image below them, and compiled modules by what becomes of their library."""

    base: str
    compiled: dict[str, dict[str, bytes]]


@pytest.fixture(scope="module")
def workshop(engine_address: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Built once."""
    return Workshop(_base(engine_address), _compiled(tmp_path_factory.mktemp("compiled")))


def _compiled(folder: Path) -> dict[str, dict[str, bytes]]:
    """The files of a compiled module, by what becomes of the library that it needs."""
    include = Path(interpreter("3.11")).resolve().parents[1] / "include/python3.11"
    (folder / "answer.c").write_text("int answer(void) { return 1; }\n")
    (folder / "fast.c").write_text(_MODULE)
    soname = "-Wl,-soname,libanswer.so.7"
    link = ("-L.", "-l:libanswer.so.7", "-Wl,-rpath,$ORIGIN/fast.libs")
    for words in (
        ("-o", "libanswer.so.7", "answer.c", soname),
        ("-o", "fast.so", "fast.c", f"-I{include}", *link),
        ("-o", "libc.musl-x86_64.so.1", "answer.c", "-Wl,-soname,libc.musl-x86_64.so.1"),
        ("-o", "musl.so", "fast.c", f"-I{include}", "-L.", "-l:libc.musl-x86_64.so.1"),
    ):
        subprocess.run(["gcc", "-shared", "-fPIC", *words], cwd=folder, check=True)
    module, library = (folder / "fast.so").read_bytes(), (folder / "libanswer.so.7").read_bytes()
    arm = module[:_MACHINE] + _AARCH64 + module[_MACHINE + 2 :]
    return {
        "beside": {_FILE: module, "fast.libs/libanswer.so.7": library},
        "missing": {_FILE: module},
        "musl": {_FILE: (folder / "musl.so").read_bytes()},
        "arm": {_FILE: arm, "fast.libs/libanswer.so.7": library},
    }


def _base(engine_address: str) -> str:
    """An image with Python and pip."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine_address)
        (bundled,) = (Path(ensurepip.__file__).parent / "_bundled").glob("pip-*.whl")
        with zipfile.ZipFile(bundled) as wheel:
            files: dict[str, str | bytes] = {f"opt/pip/{name}": wheel.read(name) for name in wheel.namelist()}
        # what pip imports is compiled once, and not by each image that is made with it
        use = "RUN pip install --no-index --find-links /opt missing || true"
        instructions = ["ENV PIP_BREAK_SYSTEM_PACKAGES=1", use]
        tag = f"{images.REPOSITORY}/with-pip:3.11"
        return images.kept(tag, images.base("3.11"), {**files, "usr/local/bin/pip": _PIP}, instructions)


def _files(case: Case, layout: str) -> Iterator[tuple[str, str]]:
    copies, command = _LAYOUTS[layout]
    install = "RUN pip install --no-index --no-build-isolation --find-links wheels -r requirements.txt\n"
    yield "Dockerfile", f"FROM {_BASE}\nWORKDIR /srv\n{copies}{install}{case.env}{command}"
    yield "requirements.txt", f"{case.wanted}\n"
    yield "main.py", _MAIN.format(module="fast", code=case.code)
    yield "cloudbuild.yaml", _TEMPLATE


def _write(root: Path, case: Case, layout: str, compiled: dict[str, dict[str, bytes]]) -> None:
    (root / "wheels").mkdir()
    for name, text in _files(case, layout):
        (root / name).write_text(text)
    for release in case.wheels:
        is_compiled = release.tag == _TAG and case.library
        files = compiled[case.library] if is_compiled else {f"{release.name}.py": b"x = 1\n"}
        named = {name.replace("fast.cpython", f"{release.name}.cpython"): data for name, data in files.items()}
        write_wheel(root / "wheels", release, named)
    if case.source:
        _write_source(root / "wheels" / "fast-1.0.tar.gz")


def _write_source(path: Path) -> None:
    """A source distribution with a compiled part, and a build backend of its own."""
    backend = (
        "import subprocess\n\ndef build_wheel(folder, config=None, metadata=None):\n"
        "    subprocess.run(['gcc', '-shared', 'fast.c'], check=True)\n"
    )
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    files = {
        "pyproject.toml": project,
        "backend.py": backend,
        "fast.c": _MODULE,
        "PKG-INFO": "Name: fast\nVersion: 1.0\n",
    }
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(f"fast-1.0/{name}")
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))


def _predicted(root: Path) -> list[str]:
    """What is certain before the build: errors, and variables that nothing sets."""
    reports = (check(FolderStage(root), None, Config()) for check in (check_startup, check_installs))
    every = [item for report in reports for item in report.diagnostics]
    return [item.message for item in every if item.severity is Severity.ERROR or item.code == "BG706"]


@pytest.mark.parametrize(("layout", "name"), _chosen(), ids=lambda word: word)
def test_an_image_is_what_was_predicted_and_what_is_found_in_it(
    layout: str, name: str, workshop: Workshop, tmp_path: Path, engine: str
) -> None:
    case, tag = _CASES[name], f"{images.REPOSITORY}/installed:{layout}-{name}"
    _write(tmp_path, case, layout, workshop.compiled)

    predicted = _predicted(tmp_path)

    assert bool(predicted) is (case.shown is Shown.BEFORE), predicted
    recipe = tmp_path / "Dockerfile"
    text = recipe.read_text()
    recipe.write_text(text.replace(_BASE, workshop.base))
    options = {"rm": True, "forcerm": True, "nocache": True}  # another test may remove what the cache knows
    events = list(images.api().build(path=os.fspath(tmp_path), tag=tag, decode=True, **options))
    recipe.write_text(text)
    is_built = not any("error" in event for event in events)
    is_installable = case.shown in {Shown.NOTHING, Shown.IMAGE} or bool(case.code)
    assert is_built is is_installable, events[-3:]
    assert is_built or any(_REFUSED.search(str(event)) for event in events), events
    if is_built:
        try:
            _check_image(tmp_path, tag, case, engine)
        finally:
            images.api().remove_image(tag, force=True)


def _check_image(root: Path, tag: str, case: Case, engine: str) -> None:
    """What is found in the image, and what its start does."""
    project = Project(root, {"DOCKER_HOST": engine})
    result = project.run("check", f"image:{tag}", "--start", "--format", "json")
    words = [(row["code"], row["message"]) for row in result.json["diagnostics"] if row["severity"] == "error"]
    words += [("unproven", row["reason"]) for row in result.json["unproven"]]
    assert bool(words) is (case.shown is not Shown.NOTHING), (result.code, words, result.json.get("start"))
    assert ("BG603" in {code for code, _message in words}) is (case.shown is Shown.IMAGE), words


def test_there_is_one_of_each() -> None:
    every = [(layout, name) for layout in _LAYOUTS for name in _CASES]

    assert len(every) >= 70
    assert {case.shown for case in _CASES.values()} == {*Shown}
