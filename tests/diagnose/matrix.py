"""The fault matrix: every fault that custody's tests and the emulator can inject, alone and in pairs, and what is made of it.

`python -m tests.diagnose.matrix` prints it as a table with its counts, `--all` with every pair (an hour and more), and with
a text only the rows that hold it. It wants a container engine.
"""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from contextlib import suppress
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from buildguard.check.run import check
from buildguard.check.silent_watcher import SilentWatcher
from buildguard.diagnose.evidence import DiagnoseOptions
from buildguard.diagnose.run import examine
from buildguard.gcp.cloud_build import CloudBuildClient, source_of
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision, NotReadyError
from buildguard.gcp.emulator.server import Emulator
from buildguard.gcp.emulator.tampering import older_source
from buildguard.gcp.storage import ChangedError, StorageClient
from buildguard.locate import locate
from buildguard.project.request import CheckRequest
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git as gits
from tests import images
from tests.compare import damage
from tests.compare.damage import DAMAGES, Damage
from tests.conftest import BROKEN_BEFORE_312
from tests.diagnose.messages import MESSAGES
from tests.gcp.emulator.conftest import BUCKET

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from buildguard.diagnose.run import DiagnosisReport

_AS_TEXT = {"line-endings", "bom", "transcoded"}
_RENAMED = {"moved", "name-normalization", "case-collision"}
_GENERATED = {"dangling extra"}  # what is no source, and more than was committed, a Dockerfile's RUN may have made
_MATCH = "match 1:\n    case 1:\n        x = 1\n"
_SITE = "usr/local/lib/python3.11/site-packages"
_REQUIRED = "DATABASE_URL"
PYTHON, PACKAGES, BUILD, REVISION, LOG, CODE, TREE = "python", "packages", "build", "revision", "log", "code", "tree"


class Fault(NamedTuple):
    """One thing that is wrong, with the causes that have to be proven for it; of one family there is one at a time.

    `extra` is in the image only, `code` in the commit too; `value` is the image's Python, the wheel's platform, the fault
    of the emulator, or the text of the log.
    """

    name: str
    family: str
    causes: frozenset[str]
    value: str = ""
    damage: Damage | None = None
    code: tuple[tuple[str, bytes], ...] = ()
    extra: tuple[tuple[str, bytes], ...] = ()


def _of_damage(one: Damage) -> frozenset[str]:
    found: set[str] = set()
    if one.name in _GENERATED:
        return frozenset()
    for change, cause in one.expected.values():
        if cause == "stale":
            found.add("stale-image")
        elif change in {"added", "removed"} and cause not in _RENAMED:
            found.add("wrong-files-sent")
        else:
            found |= {"bytes-changed", "encoding"} if cause in _AS_TEXT else {"bytes-changed"}
    return frozenset(found)


def _pyc() -> bytes:
    """Bytecode of another source, which Python takes without a look at the source."""
    import importlib.util
    import marshal

    code = compile("other = 1\n", "main.py", "exec")
    return importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8) + marshal.dumps(code)


def _f(name: str, family: str, causes: str, value: str = "", **more: Any) -> Fault:
    return Fault(name, family, frozenset(causes.split()), value, **more)


FAULTS = [
    *(Fault(one.name, TREE, _of_damage(one), damage=one) for one in DAMAGES),
    _f("stray bytecode", TREE, "stray-bytecode", extra=(("app/__pycache__/main.cpython-311.pyc", _pyc()),)),
    _f("newer f-string", CODE, "target-older-than-code", code=(("app/newer.py", BROKEN_BEFORE_312.encode()),)),
    _f("source that is no UTF-8", CODE, "encoding", code=(("app/latin.py", b"# caf\xe9\nx = 1\n"),)),
    _f("another Python", PYTHON, "other-interpreter", "3.8"),
    _f("another Python, too old", PYTHON, "other-interpreter target-older-than-code", "3.8",
       code=(("app/matching.py", _MATCH.encode()),)),
    _f("packages for musl", PACKAGES, "platform", "musllinux_1_2_x86_64"),
    _f("packages for ARM", PACKAGES, "platform", "manylinux2014_aarch64"),
    _f("internal error", BUILD, "service-trouble", "internal-error"),
    _f("expired", BUILD, "service-trouble", "expired"),
    _f("logging failed", BUILD, "service-trouble", "logging-failed"),
    _f("source not fetched", BUILD, "service-trouble", "fetch-failed"),
    _f("object damaged", BUILD, "bytes-changed", "flip-byte"),
    _f("object cut", BUILD, "bytes-changed", "truncate-object"),
    _f("timeout", BUILD, "resources", "timeout"),
    _f("member altered", BUILD, "bytes-changed", "alter-member"),
    _f("member lost", BUILD, "wrong-files-sent", "drop-member"),
    _f("line ends in the build", BUILD, "bytes-changed encoding", "crlf"),
    _f("old source built", BUILD, "stale-image", "stale-source"),
    _f("another Python in the build", BUILD, "other-interpreter", "other-python"),
    _f("variable missing", REVISION, "missing-variable", "missing"),
    _f("another commit serves", REVISION, "wrong-files-sent", "commit"),
    *(
        _f(f"log: {entry}", LOG, cause, MESSAGES[entry][0])
        for entry, cause in {
            "no-module": "not-importable", "variable-of-environs": "missing-variable", "no-file-to-run": "wrong-files-sent",
            "windows-line-ends": "encoding", "other-architecture": "platform", "memory-of-cloud-run": "resources",
            "unavailable": "service-trouble", "bad-magic-number": "stray-bytecode", "removed-from-python": "code-older-than-target",
            "union-of-types": "target-older-than-code", "executable-not-found": "start-command", "port-in-use": "port",
            "no-matching-version": "dependency-install", "no-credentials": "permission", "no-such-secret": "configuration",
            "no-database": "dependency-service", "crashed": "crash", "gcloud-crashed": "tool-failure",
        }.items()
    ),
]  # fmt: skip
# what is as it should be, by name, and looked at in every way
CONTROLS = [
    _f("healthy, nothing but the repository", TREE, ""),
    _f("healthy image", TREE, ""),
    _f("healthy image of another commit's f-strings", CODE, "", code=(("app/fine.py", b"x = f'{1}'\n"),)),
    _f("healthy packages", PACKAGES, "", "manylinux2014_x86_64"),
    _f("healthy build", BUILD, "", "none"),
    _f("build that was cancelled", BUILD, "", "cancelled"),
    _f("build that may not push", BUILD, "", "push-failed"),
    _f("build that passed behind trouble", BUILD, "", "http-503=2"),
    _f("healthy revision", REVISION, "", "ready"),
    _f("quiet log", LOG, "", "INFO:     Uvicorn running on http://0.0.0.0:8080 (Press CTRL+C to quit)"),
]
# Causes that a log alone proves, and those that take a source beside it.
BY_LOG_ALONE = frozenset(
    [
        "code-older-than-target",
        "start-command",
        "port",
        "dependency-install",
        "permission",
        "configuration",
        "dependency-service",
        "crash",
        "tool-failure",
    ]
)
BY_SOURCE = frozenset({"application-error", "merge-conflict"})
_NAMED = [("newer f-string", "crlf"), ("stale", "variable missing")]


def pairs() -> list[tuple[Fault, Fault]]:
    """Every two faults that can be there at once."""
    return [(one, other) for one, other in combinations(FAULTS, 2) if _go_together(one, other)]


def _go_together(one: Fault, other: Fault) -> bool:
    if one.family != other.family:
        # bytecode has a name for each Python, and another Python does not look at it
        return not ({one.family, other.family} == {TREE, PYTHON} and "stray bytecode" in {one.name, other.name})
    if one.family == CODE:
        return True
    if one.family != TREE or one.damage is None or other.damage is None:
        return one.family == TREE
    # a file has one fate
    return not {*one.damage.expected} & {*other.damage.expected} and not _depends(one) & _depends(other)


def _depends(one: Fault) -> set[str]:
    """Further paths that a damage is reported by."""
    more = {
        "link copied": {"app/main.py"},
        "link as text": {"app/main.py"},
        "moved": {"app/two.py"},
        "file linked": {"app/two.py"},
    }
    assert one.damage is not None
    return {*one.damage.expected, *more.get(one.name, set())}


def some_pairs(seed: int = 9) -> list[tuple[Fault, Fault]]:
    """The pairs that have a name, and one for every two causes that can be at work at once, drawn by a seed."""
    rng = random.Random(seed)
    every = pairs()
    rng.shuffle(every)
    chosen = {names: next(pair for pair in every if {pair[0].name, pair[1].name} == {*names}) for names in _NAMED}
    drawn: dict[frozenset[str], tuple[Fault, Fault]] = {}
    for pair in every:
        key = frozenset(f"{cause} by {one.family}" for one in pair for cause in one.causes)
        simple = frozenset(cause for one in pair for cause in one.causes)
        if alone := simple & BY_LOG_ALONE:  # one pair is enough: no other examination looks for it
            simple = key = alone
        drawn.setdefault(simple if len(simple) > 1 else key, pair)
    return list({name(pair): pair for pair in [*chosen.values(), *drawn.values()]}.values())


class World:
    """Where the faults are at home: an engine, images with every tree, repositories, builds and revisions; `close` ends it."""

    def __init__(self, scenes: Sequence[tuple[Fault, ...]]) -> None:
        """`scenes` are all that will be asked for: an image holds the trees of many."""
        self._folder = Path(tempfile.mkdtemp(prefix="buildguard-matrix-"))
        self._scenes = list({name(one): one for one in scenes}.values())
        self._emulators: dict[tuple[str, Path], Emulator] = {}
        self._repositories: dict[tuple[tuple[str, bytes], ...], Path] = {}
        self._images: dict[tuple[str, str], str] = {}
        self._builds: dict[tuple[str, Path], str] = {}
        self._revisions: dict[tuple[str, str, Path], str] = {}
        self._unseen: dict[tuple[Path, str], DiagnosisReport] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the emulators, and forget the files."""
        for one in self._emulators.values():
            one.close()
        shutil.rmtree(self._folder)

    def examined(self, scene: tuple[Fault, ...], *, blind: bool = False) -> DiagnosisReport:
        """What `diagnose` makes of some faults at once; with `blind`, of the repository and the log alone."""
        by_family = {one.family: one for one in scene}
        repo = self._repository(scene)
        log = by_family[LOG].value.encode() + b"\n" if LOG in by_family else None
        asked = DiagnoseOptions()
        seen = {TREE, CODE, PYTHON, PACKAGES} & {*by_family} and scene != (CONTROLS[0],)
        if seen and not blind:
            asked = asked._replace(image=self._image(scene))
        before = dict(os.environ)
        build = by_family[BUILD].value if BUILD in by_family else "none"
        # what is not looked at makes no difference: one answer for all of a repository and a service
        place = (repo, build if {BUILD, REVISION} & {*by_family} else "")
        if blind and log is None and place in self._unseen:
            return self._unseen[place]
        try:
            if BUILD in by_family and not blind:
                asked = asked._replace(build=self._build(build, repo))
            if REVISION in by_family and not blind:  # both are asked of one emulator
                asked = asked._replace(revision=self._revision(by_family[REVISION].value, repo, build))
            if BUILD in by_family or REVISION in by_family:
                self._point_at(build, repo)
            found = examine(repo, log, asked)
            if blind and log is None:
                self._unseen[place] = found
            return found
        finally:
            for variable in {*os.environ} - {*before}:
                del os.environ[variable]
            os.environ.update(before)

    # ---------------------------------------------------------------------------------- where they are

    def _repository(self, scene: Iterable[Fault]) -> Path:
        code = tuple(sorted(pair for one in scene for pair in one.code))
        if code not in self._repositories:
            made = self._folder / f"repository-{len(self._repositories)}"
            damage.repository(made)
            settings = f'[deploy]\nrequired-env = ["{_REQUIRED}"]\n'
            recipe = f"FROM {images.base('3.11')}\nCOPY . /app\n"
            damage.write(made, {"Dockerfile": recipe.encode(), "buildguard.toml": settings.encode(), **dict(code)})
            for message, content in (("older", b"one = 0\n"), ("to be deployed", damage.FILES["app/one.py"])):
                damage.write(made, {"app/one.py": content})
                damage.git(made, "add", "--all")
                damage.git(made, "commit", "--quiet", "--message", message)
            self._repositories[code] = made
        return self._repositories[code]

    def _tree(self, scene: tuple[Fault, ...], place: Path) -> None:
        """The commit as it arrived, damaged."""
        shutil.copytree(self._repository(scene), place, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        for one in scene:
            if one.damage is not None:
                one.damage.do(place)
            damage.write(place, dict(one.extra))

    @staticmethod
    def _parts(scene: Iterable[Fault]) -> tuple[str, str]:
        chosen = {one.family: one.value for one in scene}
        return chosen.get(PYTHON, "3.11"), chosen.get(PACKAGES, "")

    def _image(self, scene: tuple[Fault, ...]) -> str:
        """The image that a scene's tree is in, at a root of its own."""
        python, packages = parts = self._parts(scene)
        alike = [one for one in self._scenes if self._parts(one) == parts]
        if parts not in self._images:
            context = self._folder / f"context-{len(self._images)}"
            for number, one in enumerate(alike):
                self._tree(one, context / f"s/{number}")
            if packages:
                _install(packages, context / _SITE)
            self._images[parts] = _built(f"matrix-{python}-{packages or 'none'}", images.base(python), context)
        return f"{self._images[parts]}:/s/{alike.index(scene)}"

    # ---------------------------------------------------------------------------------- what Google has

    def _emulator(self, fault: str, repo: Path) -> Emulator:
        if (fault, repo) not in self._emulators:
            asked = {"none": (), "other-python": (f"other-python={images.base('3.8')}",)}.get(fault, (fault,))
            stale = older_source(repo) if fault == "stale-source" else None
            made = Emulator(asked, stale=stale)
            made.storage.buckets.owners[BUCKET] = "emulated"
            self._emulators[fault, repo] = made
        return self._emulators[fault, repo]

    def _point_at(self, fault: str, repo: Path) -> None:
        os.environ.update(self._emulator(fault, repo).environment)

    def _build(self, fault: str, repo: Path) -> str:
        if (fault, repo) not in self._builds:
            self._point_at(fault, repo)
            emulator = self._emulator(fault, repo)
            known = {one.id for one in emulator.builds.find("emulated", "")}
            if fault in _FAILING:
                with CloudBuildClient(pause=0.05) as cloud:
                    identity = cloud.wait(cloud.submit(_plain(repo, self._folder, fault)), 60, grace=5).id
            else:
                check(CheckRequest(cwd=repo, engine="cloud"), locate(repo, ("commit:HEAD",)), SilentWatcher())
                identity = next(one.id for one in emulator.builds.find("emulated", "") if one.id not in known)
            self._builds[fault, repo] = identity
        return self._builds[fault, repo]

    def _revision(self, kind: str, repo: Path, emulator: str) -> str:
        if (kind, emulator, repo) not in self._revisions:
            self._point_at(emulator, repo)
            env = {} if kind == "missing" else {_REQUIRED: "there"}
            marks = {"buildguard.dev/commit": "0" * 40} if kind == "commit" else {}
            # a service of its own: a revision has the variables of the one before it
            name = f"{kind}-00001-abc"
            with CloudRunClient() as run, suppress(NotReadyError):
                run.candidate(kind, _server(), NewRevision(name, "", env, marks))
            self._revisions[kind, emulator, repo] = name
        return self._revisions[kind, emulator, repo]


_FAILING = {"internal-error", "expired", "logging-failed", "fetch-failed", "timeout", "cancelled", "push-failed",
            "flip-byte", "truncate-object"}  # fmt: skip
_SERVER = (
    f"import http.server, os\nos.environ['{_REQUIRED}']\n"
    "http.server.HTTPServer(('', int(os.environ['PORT'])), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
)


def _server() -> str:
    """An image that serves as long as it has its variable."""
    files = {"serve.py": _SERVER}
    tag = f"{images.REPOSITORY}/matrix-server:1"
    return images.kept(tag, images.base("3.11"), files, ['CMD ["python3", "/serve.py"]'])


def _plain(repo: Path, folder: Path, fault: str) -> dict[str, Any]:
    """A build of a commit that does nothing but end."""
    repository = gits.repository_of(repo)
    assert repository is not None
    archive = folder / "sent.tgz"
    packed = pack(commit_of(repository, "HEAD"), archive)
    with StorageClient() as storage:
        try:
            url = storage.upload(archive, BUCKET, f"source/{packed.written.file_digest}.tgz").uploaded.url
        except ChangedError as error:  # others do not look, and build it
            url = error.current_object.url if error.current_object is not None else ""
    build: dict[str, Any] = {
        "source": source_of(url),
        "steps": [{"name": images.base("3.11"), "script": "true"}],
    }
    if fault == "push-failed":
        build["steps"][0] = {
            "name": images.docker_builder(),
            "args": ["tag", images.base("3.11"), "localhost:1/pushed:1"],
        }
        build["images"] = ["localhost:1/pushed:1"]
    return build


def _install(platform: str, folder: Path) -> None:
    """A real wheel for a platform, as pip unpacks it."""
    with tempfile.TemporaryDirectory() as wheels:
        words = [
            "--only-binary=:all:",
            "--no-deps",
            "--python-version",
            "3.11",
            "--platform",
            platform,
            "--dest",
            wheels,
        ]
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", *words, "markupsafe==3.0.3"], check=True)
        (wheel,) = Path(wheels).glob("*.whl")
        shutil.unpack_archive(wheel, folder, "zip")


def _built(name: str, base: str, context: Path) -> str:
    """An image of what a folder holds, under a name that tells its content: tests in several processes share it."""
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY . /\n")
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(context.rglob("*")):
            info = tar.gettarinfo(path, path.relative_to(context).as_posix())
            info.mtime = 1_700_000_000
            if path.is_file() and not path.is_symlink():
                with path.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)
    tag = f"{images.REPOSITORY}/{name}:{hashlib.sha256(made.getvalue()).hexdigest()[:12]}"
    if not any(tag in (one.get("RepoTags") or ()) for one in images.api().images()):
        made.seek(0)
        for event in images.api().build(fileobj=made, custom_context=True, tag=tag, rm=True, forcerm=True, decode=True):
            assert "error" not in event, event
    return tag


# ------------------------------------------------------------------------------------------ what is right


def wrong(scene: tuple[Fault, ...], found: DiagnosisReport) -> str:
    """What is wrong with a diagnosis; empty where nothing is."""
    expected = frozenset().union(*(one.causes for one in scene))
    verdicts = {one.id: one.verdict for one in found.diagnosis.hypotheses}
    proven = {name for name, verdict in verdicts.items() if verdict == "proven"}
    if proven != expected:
        return f"proven {sorted(proven)}, and {sorted(expected)} is at work"
    said = found.diagnosis
    if not expected:
        return (
            f"a control is called {said.cause}, exit {said.exit_code}"
            if said.exit_code == 1 or said.cause in verdicts
            else ""
        )
    if said.exit_code != 1 or said.cause not in expected:
        return f"called {said.cause}, exit {said.exit_code}"
    for family, ends in ((LOG, None), (REVISION, {"missing"}), (BUILD, _FAILING)):
        causes = [one.causes for one in scene if one.family == family and (ends is None or one.value in ends)]
        if causes and causes[0]:
            return "" if said.cause in causes[0] else f"{sorted(causes[0])} explains it, and {said.cause} leads"
    return ""


def refuted_unseen(scene: tuple[Fault, ...], found: DiagnosisReport) -> str:
    """A cause at work that was called refuted by a look that could not see it."""
    refuted = {one.id for one in found.diagnosis.hypotheses if one.verdict == "refuted"}
    at_work = frozenset().union(*(one.causes for one in scene))
    if any(one.name == "another Python, too old" for one in scene):
        at_work -= {"target-older-than-code"}  # what is declared does accept it: the image's is another one
    return f"refuted, and at work: {sorted(refuted & at_work)}" if refuted & at_work else ""


def name(scene: Iterable[Fault]) -> str:
    return " + ".join(one.name for one in scene)


def rows(world: World, scenes: Iterable[tuple[Fault, ...]]) -> Iterator[tuple[str, str, str, str]]:
    """Each scene: its name, the causes at work, what was called the cause, and what is wrong with that."""
    for scene in scenes:
        found = world.examined(scene)
        causes = sorted(frozenset().union(*(one.causes for one in scene)))
        yield name(scene), ", ".join(causes) or "none", found.diagnosis.cause, wrong(scene, found)


def main(*, whole: bool, part: str = "") -> int:
    """Print the table of the scenes whose names hold `part`; 1 where anything in it is wrong."""
    alone = [(one,) for one in FAULTS]
    controls = [(one,) for one in CONTROLS]
    scenes = [*controls, *alone, *(pairs() if whole else some_pairs())]
    counts: Counter[tuple[str, bool]] = Counter()
    some = [one for one in scenes if part in name(one)]
    with World(scenes) as world:
        for (title, causes, said, fault), scene in zip(rows(world, some), some, strict=True):
            kind = "control" if scene in controls else "alone" if len(scene) == 1 else "pair"
            counts[kind, not fault] += 1
            print(f"{title:60}  {causes:50}  {said:24}  {fault or 'right'}", flush=True)
    for kind in ("control", "alone", "pair"):
        print(f"{kind}: {counts[kind, True]} right, {counts[kind, False]} wrong")
    return 1 if any(not right for _kind, right in counts) else 0


if __name__ == "__main__":
    sys.exit(main(whole="--all" in sys.argv, part=next((one for one in sys.argv[1:] if one != "--all"), "")))
