"""The stack of a process that gives no answer: the built image started here, tested the same way, and watched.

Only stand-ins take the place of the service's values, as in the step `start`. What is seen is what this start does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing

from buildguard.deploy.explanation import BlockedStack
from buildguard.deploy.prepared import PreparedDeploy
from buildguard.deploy.start import request_of
from buildguard.diagnose import stack_dump
from buildguard.diagnose.stack_dump import Stack
from buildguard.docker import client as daemons
from buildguard.docker import images
from buildguard.docker.serve import ServingContainer
from buildguard.errors import GuardError
from buildguard.gcp.service_state import ServiceState
from buildguard.project.verify_config import VerifyCommand
from buildguard.remote import program
from buildguard.system import process, programs
from buildguard.system.temporary import folder

_FOLDER = "/.buildguard"
_STARTS_WITHIN, _WATCHED_FOR = 60.0, 90.0  # seconds
_PAUSE = 0.5
_MOST_LINES = 5000
_IDLE_DUMPS = 2
_SHELL = ("/bin/sh", "-c", 'exec >"$0" 2>&1; exec /bin/sh -c "$1"')


class BlockedWatch:
    """Looks for a thread that does not move while the verify commands wait."""

    def __init__(self, prepared: PreparedDeploy, locate: Callable[[str], str]) -> None:
        """`locate` returns the path in the repository of a path in the image; empty for what is not ours."""
        self._prepared = prepared
        self._locate = locate

    def look(self, reference: str, current: ServiceState | None, commands: Sequence[VerifyCommand]) -> BlockedStack:
        """Start the image, run the commands against it, and return the stack that stays; or why none was seen."""
        request = request_of(self._prepared._replace(start_env={}), current)
        options = request.options
        path = ":".join(filter(None, (_FOLDER, options.env.get("PYTHONPATH", ""))))
        files = {f"{_FOLDER}/sitecustomize.py": program("dump_stacks.py").read_bytes()}
        options = options._replace(env={**options.env, "PYTHONPATH": path}, files=files)
        try:
            with closing(daemons.connect()) as daemon:
                image = images.find(daemon, reference, self._prepared.config.platform, None)
                with ServingContainer(daemon, image, options) as container:
                    if not container.wait(request.path, _STARTS_WITHIN).listens:
                        return BlockedStack(gap="it does not start here with stand-ins")
                    return self._watch(container, commands)._replace(stand_ins=request.stand_ins)
        except GuardError as error:
            return BlockedStack(gap=error.what)

    def _watch(self, container: ServingContainer, commands: Sequence[VerifyCommand]) -> BlockedStack:
        idle = self._idle(container)
        if idle is None:
            return BlockedStack(gap="its program is no Python, or prints no stacks")
        deadline = time.monotonic() + _WATCHED_FOR
        for command in commands:
            if frames := self._run(container, command, idle, deadline):
                return BlockedStack(frames)
        return BlockedStack(gap="the tests did not wait for it when it was started here")

    def _idle(self, container: ServingContainer) -> frozenset[Stack] | None:
        """The stacks of a process that has nothing to do; None where it prints none."""
        deadline = time.monotonic() + _STARTS_WITHIN / 4
        while time.monotonic() < deadline:
            dumps = _dumps(container)
            if len(dumps) >= _IDLE_DUMPS:
                return frozenset().union(*dumps)
            time.sleep(_PAUSE)
        return None

    def _run(
        self, container: ServingContainer, command: VerifyCommand, idle: frozenset[Stack], deadline: float
    ) -> Stack:
        """Run a command until a thread is seen that stays; empty where the command ends first."""
        env = {
            **programs.users_environment(),
            "BUILDGUARD_URL": f"http://{container.address}",
            "BUILDGUARD_REVISION": f"{self._prepared.plan.wishes.service}-start",
        }
        with folder() as printed:
            env["BUILDGUARD_JUNIT"] = str(printed / "junit.xml")
            argv = [*_SHELL, str(printed / "output"), command.run]
            child = process.start(argv, cwd=self._prepared.repository.top, env=env)
            try:
                while child.poll() is None and time.monotonic() < deadline:
                    blocked = stack_dump.find_blocked(_dumps(container), idle, lambda path: bool(self._locate(path)))
                    if blocked:
                        return self._ours(blocked)
                    time.sleep(_PAUSE)
            finally:
                process.stop(child)
        return ()

    def _ours(self, stack: Stack) -> Stack:
        """The frames from the innermost one of ours on, with paths of the repository where they have one."""
        frames = tuple(frame._replace(path=self._locate(frame.path) or frame.path) for frame in stack)
        first = next(number for number, frame in enumerate(stack) if self._locate(frame.path))
        return frames[first:]


def _dumps(container: ServingContainer) -> list[frozenset[Stack]]:
    return stack_dump.read_dumps(container.last_lines(_MOST_LINES).decode("utf-8", "replace").splitlines())
