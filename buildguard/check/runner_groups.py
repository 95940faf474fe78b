"""Targets by the engines that they ask: what has the same Python is judged by the same processes, one target after the other."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from importlib import import_module

from buildguard.check.compile_files import SourceDigest
from buildguard.check.context import Job, cache_of
from buildguard.definitions import TYPE_CHECKING
from buildguard.system.cache import Cache

if TYPE_CHECKING:
    from buildguard.check.targets import TargetRunner


_JUDGES = ("findings", "import_results", "imports")


class RunnerGroup:
    """Targets that the same engines judge, one after the other."""

    def __init__(self, runners: Sequence[TargetRunner], cache: Cache) -> None:
        self.runners = runners
        self.cache = cache
        for runner in runners:
            runner.job = runner.job._replace(cache=cache)

    def begin(self) -> None:
        """Let the engine that will be asked first get ready."""
        self.runners[0].begin()
        if self.runners[0].job.request.staged:
            # what judges a new source is loaded meanwhile; in a whole project most verdicts are cached
            for name in _JUDGES:
                import_module(f"buildguard.check.{name}")

    def judge(self, digests: Mapping[bytes, SourceDigest]) -> None:
        """Judge them all; engines that left something unproven are not asked again."""
        runner, *others = self.runners
        runner.judge(digests)
        for other in others:
            if runner.state.unproven:
                runner.close()
            else:
                other.take_engines(runner)
            runner = other
            runner.judge(digests)
        runner.close()

    def close(self) -> None:
        """End the engines, also while a thread is still busy with them."""
        for runner in self.runners:
            runner.close()
        if self.cache is not self.runners[0].shared_cache:
            self.cache.close()


def group_runners(job: Job, runners: Sequence[TargetRunner]) -> list[RunnerGroup]:
    """Runners by the engines that they ask: one process for each Python, and not for each service."""
    by_engines: dict[Hashable, list[TargetRunner]] = {}
    for runner in runners:
        by_engines.setdefault(runner.engine_key(), []).append(runner)
    alone = len(by_engines) == 1
    # side by side each has a connection to the cache of its own
    return [RunnerGroup(group, job.cache if alone else cache_of(job.request)) for group in by_engines.values()]
