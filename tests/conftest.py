"""Guard rails, and the builders that every test uses: real projects, the real command line, real interpreters."""

from __future__ import annotations

import functools
import gc
import itertools
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from buildguard.engines.pool import source_of
from buildguard.system.pythons import candidates
from tests import served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from buildguard.engines.engine import Outcome, Source

REPOSITORY = Path(__file__).parents[1]
CASES = REPOSITORY / "tests/cases"
VERSIONS = ("3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
BROKEN_BEFORE_312 = "def f[T](row: T) -> T:\n    return row\n"
_Case = TypeVar("_Case")
_REAL_HOME = Path.home()
ALL = "BUILDGUARD_ALL" in os.environ  # `./scripts/test all`: full products, walks and long random searches
# `scripts/hosts`: another Python reads what has been compared in full on this one
OTHER_HOST = "BUILDGUARD_OTHER_HOST" in os.environ
# a shell starts what runs in its background with Ctrl-C ignored, and every child of the tests would inherit that
signal.signal(signal.SIGINT, signal.default_int_handler)
# where modules may not be kept compiled, each of thousands of children compiles all that it imports: half of its time
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# and what pip installs is compiled as it is imported, instead of all of it
os.environ.setdefault("PIP_NO_COMPILE", "1")
# and what pre-commit makes its environments with looks for newer wheels behind their backs, several processes each time
os.environ.setdefault("VIRTUALENV_NO_PERIODIC_UPDATE", "1")
# thousands of syntax trees and results are made and let go without a circle: to look for one each 700 objects is a third of their cost
gc.set_threshold(50_000, 20, 20)


# What depends on the Python that runs buildguard: all that runs in our own process, and what is put together for other Pythons.
_FOR_OTHER_PYTHONS = (
    "check/test_fix.py",
    "diagnose/test_log_parser.py",
    "engines/test_static.py",
    "fstrings/",
    "gcp/test_wire.py",
    "project/cloudbuild/test_embed.py",
    "project/cloudbuild/test_guard_step.py",
    "remote/",
    "system/test_children.py",
)
_ON_ONE_HOST = (  # they take minutes, or are about a text that is the same on every host: tests/test_generated.py proves it
    "fstrings/test_corpora.py",
    "fstrings/test_programs.py",
    "project/cloudbuild/test_edit.py",
    "remote/test_build_step.py",
    "remote/test_own.py",
    "test_",
)


def _depends_on_host(name: str, layer: str) -> bool:
    return not name.startswith(_ON_ONE_HOST) and (layer == "unit" or name.startswith(_FOR_OTHER_PYTHONS))


# What needs a process of its own, or a container engine.
_STARTS_PROCESSES = frozenset({"printed", "project", "repository", "site", "version"})
_NEEDS_ENGINE = frozenset({"engine", "engine_address", "_registry"})


# what every test is surrounded by, beside a home of its own
_SURROUNDINGS = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # a pytest that a test starts needs none of ours: to import them is half of its time
    "DOCKER_HOST": "unix:///nowhere/docker.sock",  # tests that need an engine ask for `engine`
    **{f"GIT_{name}_NAME": "Test" for name in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{name}_EMAIL": "test@example.invalid" for name in ("AUTHOR", "COMMITTER")},
}
_UNSET = (
    "NO_COLOR",
    "PYENV_VERSION",
    "GIT_DIR",
    "GIT_INDEX_FILE",
    "GIT_WORK_TREE",
    "XDG_CACHE_HOME",
    "DOCKER_CONTEXT",
    "GITHUB_EVENT_NAME",
)
_running: list[
    pytest.Item
] = []  # the test that is set up; to ask for `request` in every test costs a tenth of a short one


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Where a unit test starts a process it fails, and so it does where a fixture does that for it."""
    _running[:] = [item]
    _guard(item.get_closest_marker("unit") is not None)
    return (yield)


_guards: list[pytest.MonkeyPatch] = []  # one at most


def _surround(patch: pytest.MonkeyPatch) -> None:
    for name, value in _SURROUNDINGS.items():
        patch.setenv(name, value)
    for name in _UNSET:
        patch.delenv(name, raising=False)


def _guard(unit: bool) -> None:
    """Refuse processes from the first of some unit tests to their last, in surroundings that none of them changes.

    To set them up again for each test costs more than many of them do.
    """
    if unit and not _guards:
        patch = pytest.MonkeyPatch()
        _surround(patch)
        patch.setattr(subprocess.Popen, "__init__", _refuse_process)
        for function in ("fork", "forkpty", "posix_spawn", "posix_spawnp"):
            patch.setattr(os, function, _refuse_process)
        _guards.append(patch)
    elif not unit and _guards:
        _guards.pop().undo()


def _search_without_our_constants() -> None:
    """Keep Hypothesis from reading every module for constants to try: each process of pytest would, which takes it seconds."""
    if "hypothesis" in sys.modules:
        from hypothesis.internal.conjecture import providers

        constants = providers._local_constants
        providers._get_local_constants = lambda: constants


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test with its layer, and what `scripts/hosts` runs."""
    _search_without_our_constants()
    names = {path: path.relative_to(REPOSITORY / "tests").as_posix() for path in {item.path for item in items}}
    for item in items:
        name = names[item.path]
        layer = _layer(item)
        item.add_marker(layer)
        if item.get_closest_marker("slow") and not ALL:
            item.add_marker(pytest.mark.skip(reason="./scripts/test all runs it"))
        if _depends_on_host(name, layer) and not item.get_closest_marker("one_host"):
            item.add_marker(pytest.mark.hosts)


def pytest_collection_finish() -> None:
    """Thousands of tests and their modules stay to the end: garbage is looked for in what comes after them."""
    gc.collect()
    gc.freeze()


def _layer(item: pytest.Item) -> str:
    """`docker`, `interpreters` (any process: git, another Python, our own command), or else `unit`, which `_hermetic` enforces."""
    fixtures = set(getattr(item, "fixturenames", ()))
    if fixtures & _NEEDS_ENGINE or item.get_closest_marker("docker"):
        return "docker"
    if fixtures & _STARTS_PROCESSES or item.get_closest_marker("interpreters"):
        return "interpreters"
    return "unit"


def _refuse_process(*_args: object, **_options: object) -> None:
    pytest.fail("a unit test starts no process: mark it with pytest.mark.interpreters")


# what coverage itself does in a process would be taken for our doing
untraced = pytest.mark.skipif("COVERAGE_PROCESS_CONFIG" in os.environ, reason="coverage is measured")


# where each Python costs a process or more: the oldest, the last before PEP 701 (but on other hosts), and the newest; in
# `all` each of them
SOME_VERSIONS = VERSIONS if ALL else (VERSIONS[0], *(() if OTHER_HOST else ("3.11",)), VERSIONS[-1])


def sample(cases: Iterable[_Case], step: int) -> list[_Case]:
    """One of `step` cases, all of them in `./scripts/test all`."""
    return [*cases][:: 1 if ALL else step]


def sample_on_other_hosts(cases: Iterable[_Case], step: int) -> list[_Case]:
    """One of `step` cases where `scripts/hosts` repeats a comparison on another Python, else all of them."""
    return [*cases][:: step if OTHER_HOST and not ALL else 1]


def missing(what: str, remedy: str) -> None:
    """A part that a test needs is not here: loud in CI, a skip that says what to install elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(f"{what} is missing: {remedy}")
    pytest.skip(f"{what} is missing: {remedy}")


def pytest_sessionfinish() -> None:
    _guard(False)
    served.close()


@pytest.fixture(scope="session")
def _homes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Path]:
    """Give an empty home. Many unit tests leave theirs as it was, and the next one has it: a folder for each costs more than most do."""
    used: list[Path] = []

    def home(unit: bool) -> Path:
        if not (unit and used and _is_untouched(used[-1])):
            used.append(tmp_path_factory.mktemp("home"))
        return used[-1] if unit else used.pop()

    return home


def _is_untouched(home: Path) -> bool:
    try:
        return not os.listdir(home) and home.stat().st_mode & 0o777 == 0o700
    except OSError:
        return False


@pytest.fixture(autouse=True)
def _hermetic(_homes: Callable[[bool], Path]) -> Iterator[None]:
    """A home, a cache and a git identity of the test's own; a leaked variable fails the test that leaks it."""
    unit = _running[0].get_closest_marker("unit") is not None
    home = _homes(unit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYENV_ROOT", os.environ.get("PYENV_ROOT") or str(_REAL_HOME / ".pyenv"))
        patch.setenv("HOME", str(home))
        patch.setenv("BUILDGUARD_CACHE_DIR", str(home / "cache"))
        if not unit:
            _surround(patch)
        before = _variables()
        yield
        assert _variables() == before


def _variables() -> dict[bytes, bytes]:
    variables: dict[bytes, bytes] = dict(os.environ._data)  # type: ignore[attr-defined]  # `items` decodes each of them
    variables.pop(b"PYTEST_CURRENT_TEST", None)
    return variables


# what tells one kind of answer from another, the first that fits
_MARKS = {
    "images": "env",
    "hypotheses": "diagnose",
    "summary": "check",
    "entries": "manifest",
    "steps": "deploy",
    "hops": "diff",
}


@functools.cache
def schema(name: str) -> Any:
    """The published schema of an answer."""
    import jsonschema

    text = (REPOSITORY / f"docs/schemas/{name}.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


@dataclass
class Result:
    """What one run of the command line gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The answer, compared with the schema that is published for it."""
        answer: dict[str, Any] = json.loads(self.out)
        for mark, name in _MARKS.items():
            if mark in answer:
                schema(name).validate(answer)
                break
        return answer

    def codes(self) -> dict[str, list[str]]:
        """The codes of each path."""
        found: dict[str, list[str]] = {}
        for one in self.json["diagnostics"]:
            found.setdefault(one["path"], []).append(one["code"])
        return found


@dataclass
class Project:
    """A folder with files in it, in which buildguard and git run."""

    path: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.encode())

    @property
    def executable(self) -> Path:
        """The command under test."""
        return Path(sys.executable).with_name("buildguard")

    def git(self, *args: str, env: Mapping[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *args],
            cwd=self.path,
            env={**os.environ, **self.env, **(env or {})},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape")

    def commit(self, files: Mapping[str, str | bytes] | None = None) -> str:
        self.write(files or {})
        if not (self.path / ".git").exists():
            self.git("init", "--quiet", "--initial-branch=main")
        self.git("add", "--all")
        # what tidies up behind a commit takes as long as the commit
        self.git("-c", "maintenance.auto=false", "commit", "--quiet", "--message", "change")
        try:
            branch = (self.path / ".git/HEAD").read_text("ascii").strip().removeprefix("ref: ")
            return (self.path / ".git" / branch).read_text("ascii").strip()
        except OSError:  # a detached head, or a worktree
            return self.git("rev-parse", "HEAD").strip()

    def run(self, *args: str, cwd: Path | None = None, timeout: float = 300) -> Result:
        return self.pipe(b"", *args, cwd=cwd, timeout=timeout)

    def pipe(self, stdin: bytes, *args: str, cwd: Path | None = None, timeout: float = 300) -> Result:
        """The same with something on stdin."""
        environment, folder = {**os.environ, **self.env}, cwd or self.path
        if served.is_faithful(environment):
            done = served.run([str(self.executable), *args], folder, environment, stdin, timeout)
        else:
            done = subprocess.run(
                [self.executable, *args],
                cwd=folder,
                env=environment,
                input=stdin,
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        return Result(done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode())

    def check(self, *args: str, cwd: Path | None = None) -> Result:
        """`buildguard check --format json`."""
        return self.run("check", "--format", "json", *args, cwd=cwd)


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Project]:
    """Make a plain folder from `{path: content}`."""

    def make(files: Mapping[str, str | bytes] | None = None) -> Project:
        made = Project(tmp_path / "project")
        made.path.mkdir()
        made.write(files or {})
        return made

    return make


@pytest.fixture
def repository(project: Callable[..., Project]) -> Callable[..., Project]:
    """Make a git repository whose one commit holds `{path: content}`."""

    def make(files: Mapping[str, str | bytes] | None = None) -> Project:
        made = project()
        made.commit({"README": "", **(files or {})})
        return made

    return make


def answers(run: Callable[[Iterator[Source]], Iterable[Outcome]], sources: Sequence[bytes]) -> list[Outcome]:
    """The outcome of each source, in their order; each is answered once."""
    found = list(run(iter([source_of(at, data) for at, data in enumerate(sources)])))
    assert sorted(one.number for one in found) == list(range(len(sources)))
    return sorted(found, key=lambda one: one.number)


_OUTSIDE = dict(os.environ)


@pytest.fixture(scope="session")
def engine_address() -> str:
    """Where the container engine of this machine listens, as it is found outside of the tests' own surroundings."""
    from buildguard.docker import client
    from buildguard.errors import UnprovenError

    names = ("HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR")
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delenv(name, raising=False)
            if name in _OUTSIDE:
                patch.setenv(name, _OUTSIDE[name])
        try:
            reached = client.connect()
        except UnprovenError as error:
            missing("a container engine", f"{error.words}; ./scripts/test starts one where it runs as root on Debian")
            raise
        reached.close()
        return reached.address.url


@pytest.fixture
def engine(engine_address: str) -> Iterator[str]:
    """The real container engine, within reach of this test and of what it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", engine_address)
        yield engine_address


def interpreter(version: str) -> Path:
    """An interpreter of this machine."""
    found = next((path for path, _where in candidates(version, Path("/nowhere"))), None)
    if found is None:
        missing(f"Python {version}", f"pyenv install {version}")
    assert found is not None
    return found


@pytest.fixture(params=SOME_VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each Python that a target may have and this machine should; those at the edges in the ordinary run."""
    wanted: str = request.param
    interpreter(wanted)
    return wanted


@pytest.fixture(scope="session")
def _registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry on loopback: a base image is compressed and sent once, not by every test and every process of pytest."""
    from tests import registry as registries

    base = tmp_path_factory.getbasetemp()
    with registries.shared((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "registry") as address:
        yield address


_numbers = itertools.count()


@pytest.fixture
def registry(_registry: str) -> str:
    """A place in a registry that no other test has: how its images' names begin."""
    return f"{_registry}/test-{os.getpid()}-{next(_numbers)}"
