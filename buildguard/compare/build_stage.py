"""The snapshot of a build's workspace: the manifest that was made in the build, while it ran.

A build of the cloud engine left it as an artifact. One that ran the guard step tells the root digest of what lay there:
where that is the digest of the manifest in the archive that Cloud Build fetched, so are the entries.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

from buildguard.diagnostic import UnreadableFile
from buildguard.engines import cloud_results
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_build import BuildStatus, CloudBuildClient, Provenance
from buildguard.gcp.object_stage import fetch
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.stages import manifest as manifests
from buildguard.stages.archives import reader as archives
from buildguard.stages.manifest import Manifest
from buildguard.stages.snapshot import Snapshot, StageKind
from buildguard.system import temporary


class BuildSnapshotter:
    """`build:ID`, in a project and a region."""

    def __init__(self, text: str, project: str, region: str) -> None:
        self._name = text
        self._id = text.partition(":")[2]
        self._project = project
        self._region = region
        self._stage: WorkspaceSnapshotter | None = None

    def snapshot(self) -> Snapshot:
        """Raises UnprovenError for a build that is not known, or that was not examined while it ran."""
        with (
            CloudBuildClient(self._project, self._region or "global") as builds,
            StorageClient(builds.project) as storage,
        ):
            build = builds.get(self._id)
            workspace = cloud_results.read_workspace(
                build.outputs, lambda name: storage.content(f"{build.artifacts}/{name}")
            )
            rows, changed = workspace if workspace is not None else (self._by_digest(build), {})
        self._stage = WorkspaceSnapshotter(self._name, rows, changed, build.provenance)
        return self._stage.snapshot()

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """The contents that the build told."""
        assert self._stage is not None
        return self._stage.originals(paths)

    def _by_digest(self, build: BuildStatus) -> bytes:
        """The rows whose digest the guard step told; they lie in the archive that was fetched."""
        report = next(filter(None, map(_step_of, build.outputs)), None)
        if report is None:
            ended = "" if build.is_done else f", and is {build.status}"
            raise UnprovenError(
                f"{self._name} kept no manifest of its workspace{ended}",
                hint="`buildguard init --cloudbuild` adds the step that makes one; a failed build keeps nothing",
            )
        if build.provenance is None:
            raise UnprovenError(f"{self._name} does not tell what it fetched")
        with temporary.folder() as folder:
            file = folder / "source"
            fetch(ObjectUrl.parse(build.provenance.url), file)
            rows = archives.read(file).manifest.rows()
        if report.get("digest") != f"sha256:{hashlib.sha256(rows).hexdigest()}":
            paths = [str(difference["path"]) for difference in report.get("differences", [])]
            words = f": {', '.join(paths[:5])}" if paths else ""
            raise UnprovenError(f"the workspace of {self._name} was not what Cloud Build fetched{words}")
        return rows


def _step_of(output: bytes) -> dict[str, Any] | None:
    """What the guard step wrote."""
    try:
        words = json.loads(output or b"null")
    except ValueError:
        return None
    return words if isinstance(words, dict) and words.get("digest") and "identical" in words else None


class WorkspaceSnapshotter:
    """What lay in `/workspace`; of its contents only those are known that are not what was sent."""

    def __init__(self, name: str, rows: bytes, changed: Mapping[bytes, bytes], provenance: Provenance | None) -> None:
        self._name = name
        self._rows = rows
        self._changed = changed
        self._provenance = provenance

    def snapshot(self) -> Snapshot:
        """What the manifest says; raises UnprovenError for one that buildguard does not write."""
        manifest = manifests.parse(self._rows, f"the manifest of {self._name}") if self._rows else Manifest([])
        entries = [
            # git's id tells an older version of a file
            entry._replace(blob=manifests.blob_id(self._changed[entry.path])) if entry.path in self._changed else entry
            for entry in manifest.entries.values()
        ]
        provenance = self._provenance
        digests = (("fetched", provenance.url), ("fetched_sha256", provenance.sha256)) if provenance is not None else ()
        return Snapshot(self._name, StageKind.WORKSPACE, Manifest(entries), digests=digests)

    def originals(self, paths: Collection[bytes]) -> dict[bytes, bytes | UnreadableFile]:
        """The contents that the build told."""
        nothing = UnreadableFile("the build told its digest only")
        return {path: self._changed.get(path, nothing) for path in paths}
