"""A stage during one run of a command: what is asked for again and again is read once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from buildguard.stages.filesystem import DiskStage
from buildguard.stages.git_objects import GitStage
from buildguard.stages.stage import Stage


@contextmanager
def reading_once(stage: Stage) -> Iterator[None]:
    """Have a stage read each small file once inside of this; an archive or an image has its contents at hand."""
    if isinstance(stage, DiskStage):
        with stage.keeping_contents():
            yield
        return
    if isinstance(stage, GitStage):
        stage.keep_contents()
        with stage.keeping_readers():
            yield
        return
    yield
