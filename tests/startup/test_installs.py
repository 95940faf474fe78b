"""What a Dockerfile installs, against what the target's Python takes: locks, wheelhouses and requirements."""

from __future__ import annotations

import os
import random
import subprocess
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from buildguard.diagnostic import Severity
from buildguard.project.config import Config
from buildguard.project.install_choice import InstallChoice
from buildguard.startup.findings import StartupReport
from buildguard.startup.installs.check import check_installs
from buildguard.startup.installs.commands import Installer, install_commands
from buildguard.startup.installs.locked import is_pylock, open_lock
from buildguard.startup.installs.platform import WheelPlatform, build_stages
from buildguard.startup.installs.poetry import of_poetry
from buildguard.startup.installs.readers import releases
from buildguard.startup.installs.requirements import read_requirement_file
from buildguard.startup.installs.wheelhouse import Wheelhouse
from tests.conftest import interpreter
from tests.project.memory import MemoryStage

_UV = "FROM {}\nWORKDIR /srv\nRUN pip install uv\nCOPY pyproject.toml uv.lock ./\nRUN uv sync --frozen{}\nCMD python main.py\n"
_ROOT = 'version = 1\nrequires-python = ">=3.9"\n[[package]]\nname = "svc"\nversion = "1"\nsource = {{ virtual = "." }}\ndependencies = [{}]\n'


def _package(name: str, *wheels: str, sdist: bool = False, more: str = "") -> str:
    listed = ", ".join(f'{{ url = "https://x.invalid/{wheel}" }}' for wheel in wheels)
    source = '[package.sdist]\nurl = "https://x.invalid/x.tar.gz"\n' if sdist else ""
    return (
        f'[[package]]\nname = "{name}"\nversion = "1.0"\nsource = {{ registry = "https://x.invalid" }}\n'
        f"{more}wheels = [{listed}]\n{source}"
    )


def _report(files: Mapping[str, str], platform: str = "linux/amd64") -> StartupReport:
    return check_installs(MemoryStage(files), None, Config(platform=platform))


def _rows(report: StartupReport) -> list[tuple[str, str | None, int | None, str]]:
    return [(each.code, each.path, each.range.line, str(each.severity)) for each in report.diagnostics]


def _locked(
    package: str, base: str = "python:3.13-slim", flags: str = "", needs: str = '{ name = "a" }'
) -> dict[str, str]:
    return {"Dockerfile": _UV.format(base, flags), "uv.lock": _ROOT.format(needs) + package}


_OLD = "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
_NEW = "a-1.0-cp313-cp313-manylinux_2_17_x86_64.whl"


@pytest.mark.parametrize(
    ("files", "severity"),
    [
        (_locked(_package("a", _OLD)), Severity.ERROR),
        (_locked(_package("a", _OLD, _NEW)), None),
        (_locked(_package("a", "a-1.0-py3-none-any.whl")), None),
        (_locked(_package("a", "a-1.0-cp38-abi3-manylinux_2_28_x86_64.whl")), None),
        (_locked(_package("a", "a-1.0-cp313-cp313-musllinux_1_2_x86_64.whl")), Severity.ERROR),
        (_locked(_package("a", "a-1.0-cp313-cp313-musllinux_1_2_x86_64.whl"), "python:3.13-alpine"), None),
        (_locked(_package("a", _NEW), "python:3.13-alpine"), Severity.ERROR),
        (_locked(_package("a", "a-1.0-cp313-cp313-manylinux_2_17_aarch64.whl")), Severity.ERROR),
        (_locked(_package("a", _NEW), "--platform=linux/arm64 python:3.13-slim"), Severity.ERROR),
        (_locked(_package("a", "a-1.0-cp313-cp313-manylinux_2_17_aarch64.whl"), "--platform=linux/arm64 python:3.13-slim"), None),
        (_locked(_package("a", "a-1.0-cp313-cp313-manylinux_2_17_aarch64.whl"), "--platform=$BUILDPLATFORM python:3.13-slim"), None),
        (_locked(_package("a", _OLD, sdist=True), flags=" --no-build"), Severity.ERROR),
        (_locked(_package("a", _OLD, sdist=True), "python:3.13-slim\nENV UV_NO_BUILD=1"), Severity.ERROR),
        (_locked(_package("a", _OLD, sdist=True), "python:3.13-slim\nENV UV_NO_BUILD=0"), Severity.WARNING),
        (_locked(_package("a", "a-1.0-cp313-cp313-manylinux_2_39_x86_64.whl"), "python:3.13-slim-bookworm"), Severity.ERROR),
        (_locked(_package("a", "a-1.0-cp313-cp313-manylinux_2_39_x86_64.whl")), None),
        (_locked(_package("a", "a-1.0-cp313-cp313-win_amd64.whl", sdist=True)), Severity.WARNING),
        (_locked(_package("a", "a-1.0-cp313-cp313-win_amd64.whl", sdist=True), "python:3.13"), None),
        (_locked(_package("a", "a-1.0-py2-none-any.whl", sdist=True)), None),
        (_locked(_package("a", sdist=True)), None),
        (_locked(_package("a")), None),
        (_locked(_package("a", _OLD), "acme/python:3.13"), None),
        (_locked(_package("a", _OLD), needs="{ name = \"a\", marker = \"sys_platform == 'win32'\" }"), None),
        (_locked(_package("a", _OLD), needs="{ name = \"a\", marker = \"python_version >= '3.12'\" }"), Severity.ERROR),
        (_locked(_package("a", _OLD), needs="{ name = \"a\", marker = \"python_full_version >= '3.13.4'\" }"), None),
        (_locked(_package("a", _OLD), flags=" --python 3.11"), None),
        (_locked(_package("a", _OLD), flags=" --no-install-package a"), None),
        (_locked(_package("a", _OLD), flags=" $FLAGS"), None),
        ({**_locked(_package("a", _OLD)), ".python-version": "3.11\n"}, None),
        ({**_locked(_package("a", _OLD)), ".python-version": "3.13.1\n"}, Severity.ERROR),
        ({**_locked(_package("a", _OLD)), "uv.lock": "["}, None),
        ({**_locked(_package("a", _OLD)), "uv.lock": 'package = "x"\n'}, None),
        ({**_locked(_package("a", _OLD)), "Dockerfile": "FROM python:3.13-slim\nRUN pip install a\n"}, None),
        ({**_locked(_package("b", "b-1.0-cp311-cp311-linux_x86_64.whl") + _package("a", _NEW, more='dependencies = [{ name = "b" }]\n'))}, Severity.ERROR),
    ],
)  # fmt: skip
def test_releases_of_uv_lock(files: dict[str, str], severity: Severity | None) -> None:
    found = [(each.code, each.path, each.severity) for each in _report(files).diagnostics]

    assert found == ([("BG606", "uv.lock", severity)] if severity else [])


def test_groups_and_extras_count_where_they_are_asked_for() -> None:
    root = (
        _ROOT.format("")
        + '[package.optional-dependencies]\nfast = [{ name = "a" }]\n[package.dev-dependencies]\ndev = [{ name = "b" }]\n'
    )
    text = root + _package("a", _OLD) + _package("b", _OLD.replace("a-", "b-"))
    lock = open_lock("uv.lock", text.encode())
    assert lock is not None

    def names(choice: InstallChoice) -> list[str]:
        return [release.name for release in releases(lock, WheelPlatform(13), choice) or []]

    assert names(InstallChoice()) == ["b"]
    assert names(InstallChoice(with_defaults=False)) == []
    assert names(InstallChoice(without_groups=frozenset({"dev"}))) == []
    assert names(InstallChoice(frozenset({"fast"}), with_defaults=False)) == ["a"]
    assert names(InstallChoice(every_extra=True, without=frozenset({"b"}))) == ["a"]
    assert names(InstallChoice(every_extra=True, groups=frozenset({"dev"}), only_groups=True)) == ["b"]


def test_pylock() -> None:
    assert (is_pylock("a/pylock.prod.toml"), is_pylock("lock.toml")) == (True, False)
    lock = (
        'lock-version = "1.0"\n[[packages]]\nname = "a"\nversion = "1"\nmarker = "python_version < \'3.13\'"\n'
        '[[packages.wheels]]\nname = "a-1-cp311-cp311-linux_x86_64.whl"\n'
        '[[packages]]\nname = "b"\nversion = "1"\nrequires-python = "<3.13"\n[[packages.wheels]]\nname = "b-1-py3-none-any.whl"\n'
    )
    dockerfile = "FROM python:3.13-slim\nCOPY . /srv\nRUN pip install -r /srv/pylock.toml\n"

    assert _rows(_report({"Dockerfile": dockerfile, "pylock.toml": lock})) == [("BG606", "pylock.toml", 9, "error")]
    for needed, expected in (("<3.13", [("BG606", "pylock.toml", None, "error")]), (">=3.8", [])):
        other = f'lock-version = "1.0"\nrequires-python = "{needed}"\npackages = []\n'
        assert _rows(_report({"Dockerfile": dockerfile, "pylock.toml": other})) == expected


def test_a_variable_after_the_install_decides_nothing() -> None:
    files = _locked(_package("a", _OLD, sdist=True))
    after = {**files, "Dockerfile": files["Dockerfile"] + "ENV UV_NO_BUILD=1\n"}

    assert [each.severity for each in _report(after).diagnostics] == [Severity.WARNING]


@pytest.mark.parametrize(
    ("requirements", "install", "line"),
    [
        ("flask\n", "pip install -r requirements.txt", 1),
        ("# all\nflask==3.0.3\ngunicorn>=22\n", "python -m pip install --no-cache-dir -r requirements.txt", 3),
        ("flask==3.0.*\n", "uv pip install --system -r /srv/requirements.txt", 1),
        ("flask==3.0.3 \\\n  --hash=sha256:0\ngunicorn==22 ; python_version > '3'\n", "pip install -r requirements.txt", None),
        ("flask @ https://x.invalid/flask.whl\n-e .\n./lib\n", "pip install -rrequirements.txt", None),
        ("-c constraints.txt\nflask\n", "pip install -r requirements.txt", None),
        ("flask\n", "pip install -c constraints.txt -r requirements.txt", None),
        ("flask\n", "pip install flask", None),
        ("flask\n", "pip install -r other.txt", None),
        ("flask\n", 'echo "pip install" && true', None),
    ],
)  # fmt: skip
def test_a_file_of_requirements_without_versions(requirements: str, install: str, line: int | None) -> None:
    files = {
        "Dockerfile": f"FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nRUN {install}\n",
        "requirements.txt": requirements,
    }

    assert _rows(_report(files)) == ([("BG409", "requirements.txt", line, "warning")] if line else [])


def test_files_of_requirements_that_include_others() -> None:
    files = {"a.txt": "-r sub/b.txt\nx==1\n", "sub/b.txt": "-r c.txt\ny\n", "sub/c.txt": "-r c.txt\nz==1\n"}

    listed = read_requirement_file("a.txt", lambda name: files[name].encode() if name in files else None)

    assert listed is not None
    assert {(line.file, line.line, line.is_pinned) for line in listed.lines} >= {
        ("sub/b.txt", 2, False),
        ("a.txt", 2, True),
    }
    assert read_requirement_file("lost.txt", lambda _name: None) is None


@pytest.mark.parametrize(
    ("requirements", "wheels", "rows"),
    [
        ("a==1.0\n", ["a-1.0-cp313-cp313-linux_x86_64.whl"], []),
        ("a==1.0\nb\n", ["a-1.0-cp311-cp311-linux_x86_64.whl", "b-2-py3-none-any.whl"], [1]),
        ("a>=2\n", ["a-1.0-py3-none-any.whl", "a-2.1.tar.gz"], []),
        ("a>=2\n", ["a-1.0-py3-none-any.whl", "notes.txt", "broken.whl"], [1]),
        ("a ; sys_platform == 'win32'\n", ["b-1-py3-none-any.whl"], []),
    ],
)
def test_a_local_wheelhouse(requirements: str, wheels: list[str], rows: list[int]) -> None:
    dockerfile = "FROM python:3.13-slim\nCOPY . .\nRUN pip install --no-index --find-links=wheels -r requirements.txt\n"
    files = {"Dockerfile": dockerfile, "requirements.txt": requirements, **{f"wheels/{name}": "" for name in wheels}}

    assert _rows(_report(files)) == [("BG606", "requirements.txt", row, "error") for row in rows]


def test_commands_are_read_in_every_form() -> None:
    recipe = b'FROM python:3.13-slim AS base\nRUN UV_NO_DEV=1 uv sync && pip3.13 install -r a.txt; uv pip sync b.txt\nFROM base\nRUN ["uv", "sync", "--no-dev", "--extra", "X_Y"]\n'

    commands = list(install_commands(build_stages(recipe, {})))

    assert [(command.kind, command.line, command.files) for command in commands] == [
        (Installer.UV_LOCK, 2, ()),
        (Installer.REQUIREMENTS, 2, ("a.txt",)),
        (Installer.REQUIREMENTS, 2, ("b.txt",)),
        (Installer.UV_LOCK, 4, ()),
    ]
    assert commands[3].stage.base == "python:3.13-slim"
    assert commands[3].choice({}) == InstallChoice(frozenset({"x-y"}), without_groups=frozenset({"dev"}))
    assert commands[0].choice({"UV_NO_DEV": "1"}).groups == frozenset()


def test_a_compiler_is_known_by_its_image_or_its_package() -> None:
    def compiler(recipe: str) -> bool | None:
        return build_stages(recipe.encode(), {})[-1].has_compiler

    assert compiler("FROM python:3.13\n") is True
    assert compiler("FROM python:3.13-slim\n") is False
    assert compiler("FROM python:3.13-slim\nRUN apt-get install -y gcc\n") is True
    assert compiler("FROM acme/x:3.13\n") is None


_OLDER = """
[[package]]
name = "a"
version = "1.0"
optional = false
python-versions = ">=3.8"
files = [{ file = "a-1.0-py3-none-any.whl", hash = "" }]
[package.dependencies]
b = { version = "*", markers = "python_version >= \\"3.12\\"" }
c = { version = "*", optional = true, markers = "extra == \\"x\\"" }
[[package]]
name = "b"
version = "1.0"
python-versions = "*"
files = [{ file = "b-1.0-cp311-cp311-linux_x86_64.whl", hash = "" }]
[[package]]
name = "c"
version = "1.0"
python-versions = "^3.13"
files = [{ file = "c-1.0-cp311-cp311-linux_x86_64.whl", hash = "" }]
[metadata]
python-versions = "^3.9"
"""


@pytest.mark.parametrize(
    ("version", "needs", "names"),
    [
        ("3.13", 'a = "*"', ["a", "b"]),
        ("3.11", 'a = "*"', ["a"]),
        ("3.13", 'a = { version = "*", extras = ["x"] }', ["a", "b", "c"]),
        ("3.13", 'a = [{ version = "1", python = "<3.10" }]', []),
        ("3.13", 'b = { git = "https://x.invalid" }', []),
        ("3.8", 'a = "*"', []),
    ],
)
def test_older_locks_of_poetry_are_followed_from_the_project(version: str, needs: str, names: list[str]) -> None:
    lock = open_lock("poetry.lock", _OLDER.encode(), f"[tool.poetry.dependencies]\n{needs}\n".encode())
    assert lock is not None

    installed = list(of_poetry(lock, WheelPlatform(int(version.partition(".")[2])), InstallChoice()))

    assert sorted(release.name for release in installed) == names


def test_the_lock_that_a_stage_copies_counts() -> None:
    locks = {
        "uv.lock": _ROOT.format('{ name = "a" }') + _package("a", _OLD),
        "api/uv.lock": _ROOT.format('{ name = "a" }') + _package("a", _NEW),
    }
    head = "FROM python:3.13-slim\nWORKDIR /srv\n"

    def rows(copies: str) -> list[tuple[str, str | None, int | None, str]]:
        dockerfile = f"{head}{copies}RUN uv sync --frozen\n"
        return _rows(_report({**locks, "Dockerfile": dockerfile, "api/pyproject.toml": "", "pyproject.toml": ""}))

    assert rows("COPY api/uv.lock api/pyproject.toml ./\n") == rows("COPY api/ ./\n") == []
    assert rows("COPY . .\n") == rows("COPY uv.loc[k] ./\n") == [("BG606", "uv.lock", 9, "error")]
    assert rows("COPY api ./\nCOPY . .\n") == rows("COPY --from=other uv.lock ./\n") == []


def test_wheels_that_need_each_other_are_met() -> None:
    platform = WheelPlatform(11)
    house = Wheelhouse(["w/a-1-py3-none-any.whl"], lambda _path: b"no zip", platform, only_wheels=True)

    assert house.unmet(Requirement("a")) is None
    assert house.unmet(Requirement("pip")) is None
    unmet = house.unmet(Requirement("b>1"))
    assert unmet is not None
    assert (str(unmet.requirement), unmet.through) == ("b>1", ())


# ------------------------------------------------------------------------------------------ pip's own answer

_TAGS = (
    *("py3-none-any", "py2.py3-none-any", "py2-none-any", "py39-none-any", "py313-none-any", "cp39-none-any"),
    *("cp38-cp38-linux_x86_64", "cp39-cp39-manylinux_2_17_x86_64", "cp310-cp310-manylinux2014_x86_64"),
    *(
        "cp311-cp311-manylinux1_x86_64",
        "cp312-cp312-manylinux_2_5_x86_64.manylinux1_x86_64",
        "cp313-cp313-linux_x86_64",
    ),
    *("cp38-abi3-manylinux2010_x86_64", "cp312-abi3-manylinux_2_17_x86_64", "cp311-none-manylinux_2_17_x86_64"),
    *("cp313-cp313-musllinux_1_2_x86_64", "cp311-cp311-manylinux_2_17_aarch64", "cp311-cp311-macosx_11_0_arm64"),
    *(
        "cp310-cp310-win_amd64",
        "cp313-cp313t-manylinux_2_17_x86_64",
        "pp39-pypy39_pp73-linux_x86_64",
        "py3-none-linux_x86_64",
    ),
)
_REQUIREMENTS = ("", "==1.0", ">=2", "<2", "==1.*")
_PIP = """
import os, sys
from pip._internal.cli.main import main
import pip._internal.commands.install, pip._internal.resolution.resolvelib.resolver
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(main(["install", "--dry-run", "--ignore-installed", "--no-deps", "--no-index", "--only-binary=:all:", "--disable-pip-version-check",
                       "--no-cache-dir", "--target", "x", "--isolated", "-q", "--find-links", sys.argv[1], line.strip()]))
    print(os.waitpid(child, 0)[1], flush=True)
"""


def _pairs(number: int) -> Iterator[tuple[str, str]]:
    """Requirements with the tag of the only wheel of that name."""
    chance = random.Random(606)
    every = [(f"p{at}", tag) for at, tag in enumerate(_TAGS)]
    for name, tag in (every * (number // len(every) + 1))[:number]:
        yield f"{name}{chance.choice(_REQUIREMENTS) if number > len(every) else chance.choice(_REQUIREMENTS[:2])}", tag


def _wheelhouse(folder: Path) -> None:
    for at, tag in enumerate(_TAGS):
        name = f"p{at}-1.0"
        with zipfile.ZipFile(folder / f"{name}-{tag}.whl", "w") as wheel:
            wheel.writestr(f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: p{at}\nVersion: 1.0\n")
            wheel.writestr(f"{name}.dist-info/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
            wheel.writestr(f"{name}.dist-info/RECORD", "")


_SLOW = [pytest.param(version, marks=pytest.mark.slow) for version in ("3.9", "3.10", "3.11", "3.12")]


@pytest.mark.interpreters
@pytest.mark.parametrize("version", ["3.8", "3.13", *_SLOW])
def test_pip_agrees(version: str, tmp_path: Path) -> None:
    is_whole = bool(os.environ.get("BUILDGUARD_ALL"))
    _wheelhouse(tmp_path)
    # of the ordinary run each Python has its half of the tags
    pairs = list(_pairs(88)) if is_whole else list(_pairs(22))[version == "3.8" :: 2]
    lines = "\n".join(requirement for requirement, _tag in pairs)

    done = subprocess.run(
        [interpreter(version), "-I", "-c", _PIP, os.fspath(tmp_path)],
        input=lines,
        capture_output=True,
        text=True,
        check=True,
    )

    platform = WheelPlatform(int(version.partition(".")[2]), libc=36)
    statuses = done.stdout.split()
    assert len(statuses) == len(pairs)
    assert {*statuses} <= {"0", "256"}, statuses  # pip itself answers
    answers = [status == "0" for status in statuses]
    for (requirement, tag), answer in zip(pairs, answers, strict=True):
        dockerfile = f"FROM python:{version}-slim-bookworm\nCOPY . .\nRUN pip install --no-index --only-binary=:all: --find-links w -r r.txt\n"
        name = next(file.name for file in tmp_path.iterdir() if file.name.endswith(f"-{tag}.whl"))
        files = {"Dockerfile": dockerfile, "r.txt": f"{requirement}\n", f"w/{name}": ""}
        assert (not _report(files).diagnostics) is answer, (requirement, tag, platform.words, done.stderr[-2000:])
