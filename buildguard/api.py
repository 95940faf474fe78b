"""The Python API: what the commands do, as functions that return records and print nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from buildguard.errors import GuardError, UnprovenError

if TYPE_CHECKING:
    from buildguard.check.fix import FixReport
    from buildguard.check.result import CheckReport
    from buildguard.compare.chain import Chain
    from buildguard.deploy.run import DeployReport
    from buildguard.diagnose.hypotheses import Diagnosis
    from buildguard.locate import WorkScope
    from buildguard.project.request import CheckRequest
    from buildguard.stages.manifest import Manifest

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
Folder = str | os.PathLike[str] | None


class CheckOptions(TypedDict, total=False):
    """The options of `buildguard check`, by the same names; `proof` is image, compiled or predicted."""

    staged: bool
    image: str
    service: str
    proof: str
    use_cache: bool
    jobs: int
    select: Sequence[str]
    ignore: Sequence[str]
    diff_base: str
    strict: bool
    config: str
    isolated: bool
    fetch_python: bool


class DiagnoseSources(TypedDict, total=False):
    """What to read beside the log: a build's id, an image, a revision, and where in Google Cloud."""

    build: str
    image: str
    revision: str
    project: str
    region: str


class DeployFlags(TypedDict, total=False):
    """The options of `buildguard deploy`, by the same names."""

    service: str
    build_local: bool
    no_traffic: bool
    fallback: str
    allow_dirty: bool
    allow_unpushed: bool
    project: str
    region: str


def check(
    paths: Paths = (),
    *,
    target: str | Sequence[str] | None = None,
    engine: str = "auto",
    root: Folder = None,
    **options: Unpack[CheckOptions],
) -> CheckReport:
    """Compile the sources of some paths, or of one stage ("index:", "image:REF"), under the Python that will run them.

    `root` is the folder where the command would run. Raises UsageError for a request that makes no sense, and
    UnprovenError if nothing could be examined; what could not be examined otherwise is in the report.
    """
    from buildguard.locate import locate

    folder, names = _folder(root), _names(paths)
    request = _request(folder, target, engine, options)
    with _without_project_programs(folder):
        from buildguard.check.silent_watcher import SilentWatcher

        if len(names) == 1 and names[0].startswith("image:"):
            from buildguard.check.image import check_image

            return check_image(request, names[0], SilentWatcher())
        from buildguard.check.run import check as run

        place = locate(folder, names, staged=request.staged)
        with _finish_listing(place):
            return run(request, place, SilentWatcher())


def fix(
    paths: Paths = (), *, target: str | Sequence[str] | None = None, root: Folder = None, write: bool = True
) -> FixReport:
    """Rewrite the f-strings that the target rejects, each repair proven first; without `write` only report it."""
    from buildguard.check.fix import fix as run
    from buildguard.locate import locate

    folder = _folder(root)
    request = _request(folder, target, "auto", {})
    with _without_project_programs(folder):
        place = locate(folder, _names(paths))
        with _finish_listing(place):
            return run(request, place, write=write)


def diff(*stages: str, root: Folder = None, strict: bool = False) -> Chain:
    """Compare stages hop by hop: what differs, with its cause, and what is unproven."""
    from buildguard.compare.diff import diff as run

    folder = _folder(root)
    with _without_project_programs(folder):
        return run(folder, stages, strict=strict).chain


def manifest(stage: str = "dir:.", *, root: Folder = None) -> Manifest:
    """Hash every file of a stage; raises UnprovenError if some could not be read, or if a git object is damaged."""
    from buildguard.compare.manifest import manifest as run

    folder = _folder(root)
    with _without_project_programs(folder):
        snapshot = run(folder, stage).snapshot
    for reason in (*snapshot.damaged.values(), *(item.reason for item in snapshot.unproven)):
        raise UnprovenError(f"{stage} is not complete: {reason}")
    return snapshot.manifest


def diagnose(log: str | bytes | None = None, *, root: Folder = None, **sources: Unpack[DiagnoseSources]) -> Diagnosis:
    """Find out why a build or a service failed, from its log and the repository."""
    from buildguard.diagnose.evidence import DiagnoseOptions
    from buildguard.diagnose.run import examine

    folder = _folder(root)
    data = log.encode("utf-8", "surrogateescape") if isinstance(log, str) else log
    with _without_project_programs(folder):
        return examine(folder, data, DiagnoseOptions(**sources)).diagnosis


def deploy(
    *, root: Folder = None, dry_run: bool = False, yes: bool = False, **options: Unpack[DeployFlags]
) -> DeployReport:
    """Check, build, verify and deploy the commit; with `dry_run` plan it. Without `yes` nothing is deployed."""
    from buildguard.check.silent_watcher import SilentWatcher
    from buildguard.deploy.prepare import DeployRequest
    from buildguard.deploy.run import deploy as run
    from buildguard.deploy.run import plan_deploy

    folder = _folder(root)
    request = DeployRequest(cwd=folder, **options)
    with _without_project_programs(folder):
        return plan_deploy(request) if dry_run else run(request, SilentWatcher(), _answer_once(yes=yes))


def _answer_once(*, yes: bool) -> Callable[[str], bool | None]:
    """`yes` answers the first question, the deploy itself; any other has no answer."""
    answers = iter([True] if yes else [])
    return lambda _question: next(answers, None)


def _request(folder: Path, target: str | Sequence[str] | None, engine: str, options: CheckOptions) -> CheckRequest:
    from buildguard.project.proof_grade import ProofGrade
    from buildguard.project.request import CheckRequest

    targets = (target,) if isinstance(target, str) else tuple(target or ())
    changed = {
        "proof": ProofGrade(options.get("proof", "compiled")),
        "select": tuple(options.get("select", ())),
        "ignore": tuple(options.get("ignore", ())),
    }
    return CheckRequest(cwd=folder, targets=targets, engine=engine, **{**options, **changed})  # type: ignore[arg-type]


def _folder(root: Folder) -> Path:
    return Path.cwd() if root is None else Path(root).absolute()


def _names(paths: Paths) -> tuple[str, ...]:
    every = [paths] if isinstance(paths, str | os.PathLike) else paths
    return tuple(os.fspath(path) for path in every)


@contextmanager
def _finish_listing(place: WorkScope) -> Iterator[None]:
    """Let git end if a request is refused: it has listed files since the place is known."""
    try:
        yield
    except GuardError:
        with suppress(GuardError):
            place.stage.entries()
        raise


@contextmanager
def _without_project_programs(folder: Path) -> Iterator[None]:
    """Leave relative folders and those of the project out of PATH, for us and the libraries that look for programs."""
    from buildguard.system import programs

    before = os.environ.get("PATH")
    programs.leave_project_out_of_path(folder)
    try:
        yield
    finally:
        if before is not None:
            os.environ["PATH"] = before
