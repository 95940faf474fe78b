"""What a diagnosis judges: the sources that were deployed, and the Python that ran them."""

from __future__ import annotations

from pathlib import Path

from buildguard.check.context import Job, prepare
from buildguard.definitions import NamedTuple
from buildguard.diagnose.log_parser import Log
from buildguard.errors import UsageError
from buildguard.locate import WorkScope, locate
from buildguard.project.request import CheckRequest
from buildguard.project.target import PythonVersion
from buildguard.system import git

_ON_DISK = "dir:."
_HEAD = "HEAD"
_ANY = "3.12"  # used if the Python is unknown; none is asked


class Declared(NamedTuple):
    """The Python that the repository declares, and who says so; empty where nothing does, and then why."""

    python: str
    found_in: str
    why_unknown: str = ""


class DeployedSource(NamedTuple):
    """What was deployed, as far as this machine has it: where its sources are, and why they are not those if so."""

    place: WorkScope
    missing: str = ""


def deployed(cwd: Path, source: str, commit: str) -> DeployedSource:
    """What was deployed: the stage that is named, else the commit; without any commit, the files on disk."""
    repository = git.repository_of(cwd)
    if source or repository is None or not repository.head:
        return DeployedSource(locate(cwd, (source,) if source and source != _ON_DISK else ()))
    if commit in {"", _HEAD}:
        return DeployedSource(locate(cwd, ("commit:HEAD",)))
    if repository.has_commit(commit):
        return DeployedSource(locate(cwd, (f"commit:{commit}",)))
    why = f"the commit {commit[:12]} that was deployed is not in this repository: git fetch"
    return DeployedSource(locate(cwd, ("commit:HEAD",)), why)


def job_of(cwd: Path, log: Log, base: DeployedSource) -> tuple[Job, Declared]:
    """What was deployed, to be judged by the Python that ran: the one in the log's paths, else the declared one.

    If the log blames a source, no earlier verdict counts.
    """
    where = base.place
    request = CheckRequest(cwd=cwd, use_cache=not any(one.is_syntax for one in log.failures))
    if base.missing:
        return prepare(request._replace(targets=(_ANY,)), where), Declared("", "", base.missing)
    try:
        job = prepare(request, where)
    except UsageError as error:
        if not log.pythons:
            return prepare(request._replace(targets=(_ANY,)), where), Declared("", "", error.what)
        return prepare(request._replace(targets=(log.pythons[-1],)), where), Declared(log.pythons[-1], "the log")
    versions = [target.version for target in job.targets if target.version is not None]
    found_in = ", ".join(dict.fromkeys(target.found_in for target in job.targets))
    declared = Declared(", ".join(dict.fromkeys(map(str, versions))), found_in)
    ran = [one for one in log.pythons if PythonVersion.parse(one) is not None]
    if ran and versions and not {version.minor_text for version in versions} & set(ran):
        job.cache.close()
        job = prepare(request._replace(targets=(ran[-1],)), where)
    return job, declared
