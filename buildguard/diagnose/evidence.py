"""What a diagnosis reached beside the log and the repository, and from where it looked."""

from __future__ import annotations

from pathlib import Path

from buildguard.check.result import CheckReport
from buildguard.check.targets import Watcher
from buildguard.compare.chain import Chain
from buildguard.compare.open_stage import CloudLocation
from buildguard.definitions import NamedTuple
from buildguard.diagnose.incident import CauseVerdict
from buildguard.project.config import Config
from buildguard.system import git

HEAD, SHORT = "HEAD", 12


class DiagnoseOptions(NamedTuple):
    """What a person wants looked at beside this repository; the fields are the flags of the command line."""

    build: str = ""
    image: str = ""
    revision: str = ""
    job: str = ""
    project: str = ""
    region: str = ""


class Evidence(NamedTuple):
    """What was found: causes shown or excluded, a log that came with it, and what could not be looked at, by cause.

    `compared` is how the text of the files was compared with the commit's, and was the same; `healthy` what went well, `interpreters`
    which ones are known to have run, each with its source; `failure` is how a build failed. `commit` is what `image`, or a build
    without one, was made of; empty if unknown. `unread` is what was named and could not be read at all, and why.
    `starts` is whether something of that runs, and is no build alone.
    """

    verdicts: tuple[CauseVerdict, ...] = ()
    log: bytes = b""
    unexamined: tuple[tuple[str, str], ...] = ()
    image: str = ""
    chains: tuple[Chain, ...] = ()
    reports: tuple[CheckReport, ...] = ()
    compared: str = ""
    healthy: tuple[str, ...] = ()
    interpreters: tuple[tuple[str, str], ...] = ()
    failure: str = ""
    commit: str = ""
    unread: tuple[str, ...] = ()
    starts: bool = False

    def __add__(self, other: object) -> Evidence:
        """Both."""
        assert isinstance(other, Evidence)
        return Evidence(
            (*self.verdicts, *other.verdicts),
            b"".join(text if text.endswith(b"\n") else text + b"\n" for text in (self.log, other.log) if text),
            (*self.unexamined, *other.unexamined),
            other.image or self.image,  # a revision's is nearer to what serves than a build's
            (*self.chains, *other.chains),
            (*self.reports, *other.reports),
            other.compared or self.compared,
            (*self.healthy, *other.healthy),
            (*self.interpreters, *other.interpreters),
            self.failure or other.failure,
            other.commit if other.image else other.commit or self.commit,
            (*self.unread, *other.unread),
            self.starts or other.starts,
        )


class DiagnoseContext(NamedTuple):
    """From where one looks: the folder and its repository, the configuration, and where Google is asked.

    `commit` is the one that what is looked at was made of, as far as anything tells; else the one that is checked out.
    """

    cwd: Path
    repository: git.Repository | None
    config: Config
    location: CloudLocation
    watcher: Watcher
    commit: str = HEAD

    @property
    def head(self) -> str:
        """The commit that is checked out; empty without one."""
        return self.repository.head if self.repository is not None else ""

    @property
    def is_elsewhere(self) -> bool:
        """Whether the commit is known and not in the repository."""
        return self.commit != HEAD and not self.has(self.commit)

    @property
    def elsewhere(self) -> str:
        """That it is not, and what helps."""
        return f"commit:{self.commit[:SHORT]}, of which it was made, is not in this repository: git fetch"

    @property
    def project(self) -> str:
        """The commit whose files are those of the project; empty without commits, where only the folder has any."""
        return "" if not self.head else HEAD if self.is_elsewhere else self.commit

    def has(self, commit: str) -> bool:
        """Whether a commit is in the repository."""
        return self.repository is not None and self.repository.has_commit(commit)
