"""Random walks of one service: deploys that go well, fail, or are ended anywhere, rollbacks, and other people's hands.

After each step of a walk the service is looked at: what serves was proven or served before, a deploy that nothing was done to
goes well from wherever the walk has led, and says of itself what is so.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import requests

from buildguard.cli.render.deploy import as_text
from buildguard.deploy.plan import DeployStep
from buildguard.deploy.prepare import DeployRequest
from buildguard.deploy.rollback import rollback
from buildguard.errors import GuardError
from buildguard.gcp.cloud_run import CloudRunClient, NewRevision
from buildguard.gcp.service_state import ServiceState, TrafficShare
from tests.deploy.conftest import Meanwhile, Watcher, deployed

if TYPE_CHECKING:
    from buildguard.deploy.run import DeployReport
    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project

STEPS = 9
_SERVICE = "web"
_FAULTS = ("revision-not-ready=1", "etag-conflict=1", "push-failed=1", "internal-error=2")


class _EndedError(BaseException):
    """A run that ends where it stands, as one does that is killed."""


def _raise(how: type[BaseException]) -> NoReturn:
    raise how


class Seen(NamedTuple):
    """Who has how much of the traffic, by revision."""

    shares: tuple[tuple[str, int], ...]

    @property
    def serving(self) -> set[str]:
        """Those that have any."""
        return {name for name, percent in self.shares if percent}


class Walk:
    """One service, and what was done to it so far."""

    def __init__(self, project: Project, emulator: Emulator, seed: int) -> None:
        self._project = project
        self._emulator = emulator
        self._rng = random.Random(seed)
        self._number = 100
        self.done: list[str] = []

    def step(self) -> str:
        """Do something, and look; what is wrong then, empty where nothing is."""
        acts = (
            self._deploy, self._deploy, self._no_traffic, self._fault, self._end, self._end, self._stop_in_traffic,
            self._roll_back, self._divide, self._to_latest, self._another_tool,
        )  # fmt: skip
        first = (self._deploy, self._no_traffic, self._fault, self._end)  # before there is a service
        act = self._rng.choice(acts if self.done else first)
        if self._rng.random() < 0.7:
            self._commit()
        self.done.append(act.__name__.strip("_"))
        return act()

    # -------------------------------------------------------------------------------------- what is done

    def _commit(self) -> None:
        self._number += 1
        self._project.commit({"app/other.py": f"x = {self._number}\n"})

    def _run(self, watcher: Watcher | None = None, *, no_traffic: bool = False) -> DeployReport:
        local = self._rng.random() < 0.7
        return deployed(self._project, watcher=watcher, build_local=local, no_traffic=no_traffic, fallback="never")

    def _deploy(self) -> str:
        """Nothing is done to it: it goes well."""
        found = self._run()
        if found.exit_code != 0:
            return f"it should go well: {as_text(found)}"
        serving = self._service()
        if serving is None or serving.only_revision != found.revision:
            return f"it says that {found.revision} serves: {serving and serving.describe_traffic}"
        told = requests.get(found.url, timeout=60).text
        return "" if told == found.revision else f"{told} answers, and not {found.revision}"

    def _no_traffic(self) -> str:
        before = self._seen()
        found = self._run(no_traffic=True)
        if not before.serving:  # the first revision of a service gets its traffic at once
            return "" if found.exit_code in {0, 1} else as_text(found)
        if found.exit_code != 0:
            return f"it should go well: {as_text(found)}"
        return self._unmoved(before)

    def _fault(self) -> str:
        """Something of Google's goes wrong: whoever had traffic before has it still."""
        fault = self._rng.choice(_FAULTS)
        self.done[-1] += f" {fault}"
        before = self._seen()
        self._emulator.faults.add(fault)
        found = self._run()
        self._emulator.faults.add(f"{fault.partition('=')[0]}=0")
        if found.exit_code == 0:
            return "" if self._seen().serving == {found.revision} else f"{found.revision} should serve"
        return "" if self._seen().serving <= before.serving else f"{before} became {self._seen()}: {as_text(found)}"

    def _end(self) -> str:
        """Ended as a step begins: before the traffic step no one's traffic moves."""
        step = self._rng.choice(list(DeployStep))
        self.done[-1] += f" {step}"
        before = self._seen()
        try:
            how = self._rng.choice([KeyboardInterrupt, _EndedError])
            found = self._run(Meanwhile(step, lambda: _raise(how)))
        except (KeyboardInterrupt, _EndedError, GuardError):
            if step != DeployStep.PROVE and before.serving:
                return self._unmoved(before)
            return ""
        return "" if found.exit_code == 0 else f"it should go well: {as_text(found)}"

    def _stop_in_traffic(self) -> str:
        """Ended when a share is set: the new one and the old one have it all."""
        before = self._seen()
        route = CloudRunClient.route

        def ended(run: CloudRunClient, service: str, shares: list[TrafficShare], etag: str = "") -> ServiceState:
            route(run, service, shares, etag)
            raise _EndedError

        CloudRunClient.route = ended  # type: ignore[assignment, method-assign]
        try:
            self._run()
        except _EndedError:
            new = self._seen().serving - before.serving
            return "" if len(new) <= 1 else f"{before} became {self._seen()}"
        finally:
            CloudRunClient.route = route  # type: ignore[method-assign]
        return ""

    def _roll_back(self) -> str:
        before = self._seen()
        try:
            done = rollback(DeployRequest(cwd=self._project.path), "", Watcher())
        except GuardError as error:
            return "" if error.exit_code in {2, 3} and self._seen() == before else f"{error.words}: {self._seen()}"
        there = self._service()
        return (
            ""
            if there is not None and there.only_revision == done.revision
            else f"not rolled back: {there and there.describe_traffic}"
        )

    # -------------------------------------------------------------------------------------- other people

    def _divide(self) -> str:
        """A person divides the traffic by hand."""
        ready = self._ready()
        if len(ready) > 1:
            first, second = self._rng.sample(ready, 2)
            percent = self._rng.randint(1, 99)
            with CloudRunClient() as run:
                run.route(_SERVICE, [TrafficShare(first, percent), TrafficShare(second, 100 - percent)])
        return ""

    def _to_latest(self) -> str:
        """A person says that the latest shall serve, whichever that is."""
        if self._ready():
            with CloudRunClient() as run:
                run.route(_SERVICE, [TrafficShare("", 100)])
        return ""

    def _another_tool(self) -> str:
        """A person makes a revision with another tool, and it may get a part of the traffic."""
        ready = self._ready()
        if not ready:
            return ""
        self._number += 1
        name = f"{_SERVICE}-{self._number:05d}-xyz"
        with CloudRunClient() as run:
            image = run.revision(_SERVICE, ready[0]).image
            run.candidate(_SERVICE, image, NewRevision(name, f"theirs-{self._number}"))
            if self._rng.random() < 0.5:
                run.route(_SERVICE, [TrafficShare(name, 30), TrafficShare(self._rng.choice(ready), 70)])
        return ""

    # -------------------------------------------------------------------------------------- what there is

    def _service(self) -> ServiceState | None:
        with CloudRunClient() as run:
            return run.get(_SERVICE)

    def _seen(self) -> Seen:
        serving = self._service()
        if serving is None:
            return Seen(())
        shares = ((one.revision or serving.latest_ready, one.percent) for one in serving.observed if one.percent)
        return Seen(tuple(sorted(shares)))

    def _unmoved(self, before: Seen) -> str:
        now = self._seen()
        return "" if now == before else f"the traffic moved: {before} became {now}"

    def _ready(self) -> list[str]:
        if self._service() is None:
            return []
        with CloudRunClient() as run:
            return [one.name for one in run.revisions(_SERVICE) if one.ready]


def walked(project: Project, emulator: Emulator, seed: int, steps: int = STEPS) -> str:
    """One walk; the first thing that is wrong with all that led there, empty where nothing is."""
    walk = Walk(project, emulator, seed)
    for _ in range(steps):
        wrong = walk.step()
        if wrong:
            return f"walk {seed}: {' > '.join(walk.done)}: {wrong}"
    return ""
