"""The variables that a deploy needs, before anything is built: those that are declared, and those that the code requires at start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildguard.definitions import NamedTuple
from buildguard.errors import GuardError
from buildguard.gcp.service_containers import Container
from buildguard.project.config import Config
from buildguard.project.start_command import CommandPlace, CommandText
from buildguard.stages.filesystem import stage_on_disk
from buildguard.stages.stage import Stage
from buildguard.startup.deployed_ports import DeployedPort
from buildguard.startup.variables.check import describe_names
from buildguard.startup.variables.survey import unset_variables
from buildguard.system import git

_SERVICE = CommandPlace("the service", None)


class RequiredVariables(NamedTuple):
    """What a service requires: `declared` by `required-env`, and what the sources of the commit do at start.

    `worktree` is set where the working tree is deployed in place of the commit.
    """

    commit: Stage
    config: Config
    service: str
    worktree: git.Repository | None = None

    @property
    def declared(self) -> tuple[str, ...]:
        """The names in `required-env`."""
        return self.config.deploy.required_env

    def missing_from(self, names: Iterable[str], container: Container | None = None) -> tuple[str, ...]:
        """What some variables lack, with the line that requires it, under the command that a service sets (None: the image's)."""
        provided = frozenset(names)
        lacking = dict.fromkeys(sorted({*self.declared} - provided), "")
        deployed = _deployed(container) if container is not None else None
        stage = self.commit if self.worktree is None else stage_on_disk(self.worktree.top, self.worktree)
        try:
            for needed in unset_variables(stage, self.config, self.service, dict.fromkeys(provided), deployed):
                if {*self.declared, *self.config.deploy.optional_env}.isdisjoint(needed.read.names):
                    lacking.setdefault(describe_names(needed), f"{needed.path}:{needed.read.line}")
        except GuardError:
            pass  # sources that cannot be read are the business of the step `check`
        return tuple(f"{name} ({place})" if place else name for name, place in lacking.items())


def _deployed(container: Container) -> DeployedPort:
    """The command of a service in place of the image's."""
    command, arguments = _text(container.command), _text(container.args)
    return DeployedPort(command=command, arguments=arguments)


def _text(words: Sequence[str]) -> CommandText | None:
    return CommandText(_SERVICE, tuple(words)) if words else None
