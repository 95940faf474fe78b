"""What all targets of one run share of judging imports: the project's own files, read and understood once."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from buildguard.check.recording_stage import RecordingStage
from buildguard.definitions import TYPE_CHECKING

if TYPE_CHECKING:
    from buildguard.check.context import Job
    from buildguard.check.project_imports import ProjectImportCheck
    from buildguard.imports.records import ModuleFacts, ProjectImports
    from buildguard.project.target import Target


class SharedProjectImports:
    """The imports of a job's project for one target after the other, from whatever thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._check: ProjectImportCheck | None = None
        self._recording: RecordingStage | None = None

    @property
    def digests(self) -> dict[bytes, bytes]:
        """The digest of each file that was read for any target so far: a result may depend on each of them."""
        with self._lock:
            return dict(self._recording.digests) if self._recording is not None else {}

    def judge(self, job: Job, target: Target, known: Mapping[str, ModuleFacts | None]) -> ProjectImports:
        """The findings in the imports that one target runs; `known` are the facts that its engine extracted, by path."""
        from buildguard.check.project_imports import ProjectImportCheck

        with self._lock:
            if self._check is None:
                stage = job.place.stage
                if not stage.name.startswith("image:"):  # an image is looked into, and not only read
                    stage = self._recording = RecordingStage(stage)
                self._check = ProjectImportCheck(job._replace(place=job.place._replace(stage=stage)))
            return self._check.judge(target, known)
