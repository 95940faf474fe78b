"""The cloud engine's side of `check`: what is under check sent as it is, the one build for all targets, and its chain of custody."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from buildguard.check.context import Job, image_of
from buildguard.check.targets import TargetShare
from buildguard.codes import Code
from buildguard.compare.build_stage import WorkspaceSnapshotter
from buildguard.compare.causes import CauseKind
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.diff import compare_hops
from buildguard.compare.difference import CODES, ChangeKind, Difference
from buildguard.compare.evidence import EvidenceCollector, HopSide
from buildguard.compare.open_stage import open_stages, take_snapshot
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import (
    Diagnostic,
    DisplayPath,
    Range,
    RelativePath,
    Severity,
    Unproven,
    count,
    display_path,
    shorten_digests,
)
from buildguard.docker.image_stage import ImageStage
from buildguard.engines import cloud_round
from buildguard.engines.cloud import CloudAnswer
from buildguard.engines.cloud_request import BuildOptions
from buildguard.engines.cloud_results import ProbeResults
from buildguard.engines.cloud_round import CloudResult
from buildguard.engines.verify_interpreter import verification_sources
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_build import BuildStatus as Build
from buildguard.gcp.cloud_build import running_build_error
from buildguard.gcp.object_stage import ObjectSnapshotter
from buildguard.gcp.storage import ChangedError, StoredObject
from buildguard.project.source_archive import (
    PackedArchive,
    StageSnapshot,
    UploadSelection,
    pack_selection,
    select_upload,
)
from buildguard.remote.cloud_driver import is_source
from buildguard.remote.source_names import HEAD
from buildguard.stages.archive_snapshot import ArchiveSnapshotter
from buildguard.stages.archives.writer import write_archive
from buildguard.stages.filesystem import DiskStage
from buildguard.stages.manifest import EXECUTABLE, LINK, Manifest, ManifestEntry
from buildguard.stages.snapshot import Snapshot, StageKind
from buildguard.system.temporary import folder_of

_NO_COMMIT = 315532800  # 1980: a time that every archive format can hold
_FEW = 3


class CloudFindings(NamedTuple):
    """What a round through Cloud Build adds to a report, beside the verdicts."""

    chain: Chain | None
    diagnostics: tuple[Diagnostic, ...]
    unproven: tuple[Unproven, ...]
    notes: tuple[str, ...]


class CloudCheck:
    """One build for all targets of a job, when the first of them asks."""

    def __init__(self, job: Job, shares: Sequence[TargetShare], tell: Callable[[str], None]) -> None:
        self._job = job
        self._shares = shares
        self._tell = tell
        self._lock = threading.Lock()
        self._result: CloudResult | UnprovenError | None = None
        self._sides: list[HopSide] = []
        self._wrong = ""
        self._impostors: list[str] = []
        self._odd = False
        self._unproven: list[str] = []
        self._notes: list[str] = []
        self._file = folder_of(self) / "source.tgz"
        self.running: Build | None = None

    def answer(self, image: str) -> CloudAnswer:
        """The build's results for an image; raises UnprovenError if it printed none."""
        with self._lock:
            if self._result is None:
                try:
                    self._result = self._round()
                except UnprovenError as error:
                    self._result = error
        if isinstance(self._result, UnprovenError):
            raise self._result
        result = self._result.results[image]
        if isinstance(result, UnprovenError):
            raise result
        return CloudAnswer(result, self._result.image_digests[image])

    def cloud_findings(self) -> CloudFindings:
        """What else came of it; empty where no engine asked."""
        if self._result is None:
            return CloudFindings(None, (), (), ())
        if isinstance(self._result, cloud_round.CloudResult):
            self._sides += self._workspace(self._result)
        chain = self._chain()
        if self._wrong and chain is None:
            self._unproven.append(self._wrong)
        hops = chain.hops if chain is not None else ()
        diagnostics = [_difference(difference, hop) for hop in hops for difference in hop.findings]
        diagnostics += map(_impostor_diagnostic, self._impostors)
        unproven = [Unproven(None, None, reason) for reason in self._unproven]
        unproven += chain.unproven if chain is not None else ()
        return CloudFindings(chain, tuple(diagnostics), tuple(unproven), tuple(self._notes))

    def interrupted(self) -> None:
        """Say that a build still runs, and how to end it: raises BuildRunsError where there is one."""
        build = self.running
        if build is not None:
            raise running_build_error(build)

    # -------------------------------------------------------------------------------------- there

    def _round(self) -> CloudResult:
        images = list(dict.fromkeys(self._image(share) for share in self._shares if self._image(share)))
        packed = self._packed()
        settings = self._settings()
        watch = cloud_round.RoundListener(
            self._tell, self._runs, self._record_upload, self._look_into, self._impostors.append
        )
        more = tuple(source.data for source in verification_sources())
        sources = sum(len(share.entries) for share in self._shares)
        try:
            result = cloud_round.run_round(
                cloud_round.SourceArchive(self._file, packed.written.file_digest, sources),
                images,
                more,
                settings,
                watch,
            )
        except ChangedError as error:
            self._wrong = error.what
            what = "nothing was compiled: what was to be built is not what was sent"
            raise UnprovenError(what, reason=error.reason) from error
        self._wrong = result.wrong
        self._unproven += result.unproven
        self._notes += result.notes
        return result

    def _image(self, share: TargetShare) -> str:
        return image_of(self._job.request, self._job.config, share.target)[0]

    def _runs(self, build: Build | None) -> None:
        self.running = build
        if build is not None:
            self._tell(f"Cloud Build runs {build.id}: {build.log_url}")

    def _record_upload(self, stored: StoredObject) -> None:
        """The archive in the bucket: its hashes equal ours, so its members are the same."""
        if not self._sides:
            return
        archive = self._sides[-1]
        digests = (("md5", stored.hashes.md5), ("crc32c", stored.hashes.crc32c))
        self._sides.append(HopSide(archive.stage, archive.snapshot._replace(stage=stored.url, digests=digests)))

    def _look_into(self, url: str) -> None:
        """Put an object that is not the archive into the chain, as far as it can be read."""
        self._odd = True
        stage = ObjectSnapshotter(url)
        self._sides.append(HopSide(stage, take_snapshot(stage, url)))

    def _settings(self) -> cloud_round.CloudSettings:
        request, table = self._job.request, self._job.config.cloud
        options = BuildOptions(table.worker_pool, table.service_account)
        return cloud_round.CloudSettings(
            request.project or table.project,
            request.region or table.region,
            table.bucket,
            options,
            request.verify_download,
        )

    # -------------------------------------------------------------------------------------- what is sent

    def _packed(self) -> PackedArchive:
        """The archive of what is under check, and of what is asked beside its files."""
        place = self._job.place
        if isinstance(place.stage, ImageStage):
            # the image's own Python compiles them; their paths are those of an image, and no archive has them
            return PackedArchive(
                write_archive(self._file, (), (), _NO_COMMIT, _packed_aside(self._aside(_NOTHING_SENT))), ()
            )
        seen = self._take_snapshot()
        selected = select_upload(seen)
        aside = _packed_aside(self._aside(selected))
        repository = place.repository
        mtime = repository.time_of(repository.head) if repository is not None and repository.head else _NO_COMMIT
        packed = pack_selection(seen, selected, self._file, mtime, aside)
        self._note_dropped(selected)
        self._sides.append(HopSide(seen.stage, seen.snapshot))
        # what the ignore rules drop is left out of the chain: a note says so
        sent = {entry.path for entry in selected.sent}
        self._sides = [HopSide(side.stage, _narrow_snapshot(side.snapshot, sent)) for side in self._sides]
        name = f"tar:{packed.written.digest[:12]}.tgz"
        archive = ArchiveSnapshotter(name, self._file)
        self._sides.append(HopSide(archive, take_snapshot(archive, name)))
        return packed

    def _take_snapshot(self) -> StageSnapshot:
        place = self._job.place
        on_disk = isinstance(place.stage, DiskStage)
        text = "dir:." if on_disk else place.stage.name
        stage = open_stages(place.root if on_disk else self._job.request.cwd, [text])[0].stage
        seen = take_snapshot(stage, text)
        if seen.kind is StageKind.UNREAD or not seen.manifest.entries:
            raise UnprovenError("; ".join(item.reason for item in seen.unproven) or "there is nothing to send")
        if on_disk:
            self._sides += self._committed(HopSide(stage, seen))
        return StageSnapshot(stage, seen, has_git=place.repository is not None)

    def _committed(self, worktree: HopSide) -> list[HopSide]:
        """The commit before the working tree, where that is as committed: what was edited since is no damage."""
        repository = self._job.place.repository
        if repository is None or not repository.head:
            return []
        stage = open_stages(repository.top, ["commit:HEAD"])[0].stage
        side = HopSide(stage, take_snapshot(stage, "commit:HEAD"))
        collector = EvidenceCollector(repository, side.snapshot.commit, b"", list)
        edited = compare_hops([side, worktree], collector)[0].findings
        if not edited:
            return [side]
        names = ", ".join(display_path(difference.path) for difference in edited[:_FEW])
        more = f" and {len(edited) - _FEW} more" if len(edited) > _FEW else ""
        self._notes.append(f"the working tree is not as committed ({names}{more}): it was sent as it is")
        return []

    def _note_dropped(self, selected: UploadSelection) -> None:
        by_rule: dict[str, int] = {}
        for _path, rule in selected.dropped:
            by_rule[str(rule)] = by_rule.get(str(rule), 0) + 1
        self._notes += [
            f"not sent with a build: {count(number, 'file')}, by {rule}" for rule, number in by_rule.items() if rule
        ]

    def _aside(self, selected: UploadSelection) -> Iterator[bytes]:
        """What has to be asked and is no source of the archive: files that are not sent, and second looks at f-strings."""
        sent = {entry.path: entry for entry in selected.sent}
        beside: dict[bytes, bytes] = {}
        covered: set[bytes] = set()
        minors = {share.target.version.minor for share in self._shares if share.target.version is not None}
        entries = {entry.path: entry for share in self._shares for entry in share.entries}
        for entry, content in self._job.place.stage.contents(entries.values()):
            if not isinstance(content, bytes):
                continue
            digest = hashlib.sha256(content).digest()
            if _is_found_by_driver(sent.get(entry.path), digest, content):
                covered.add(digest)
            else:
                beside[digest] = content
            for variant in _variants(content, minors):
                beside[hashlib.sha256(variant).digest()] = variant
        yield from (data for digest, data in sorted(beside.items()) if digest not in covered)

    # -------------------------------------------------------------------------------------- the chain

    def _workspace(self, result: CloudResult) -> list[HopSide]:
        results: list[ProbeResults] = [
            outcome for outcome in result.results.values() if not isinstance(outcome, UnprovenError)
        ]
        if not results:
            return []
        stage = WorkspaceSnapshotter(
            f"build:{result.build.id}", results[0].manifest, results[0].changed, result.build.provenance
        )
        return [HopSide(stage, take_snapshot(stage, f"build:{result.build.id}"))]

    def _chain(self) -> Chain | None:
        if len(self._sides) < 2:  # noqa: PLR2004
            return None
        repository = self._job.place.repository
        commit = (repository.head or "") if repository is not None else ""
        collector = EvidenceCollector(repository, commit, b"", list)
        chain_hops = list(compare_hops(self._sides, collector))
        if self._wrong:
            objects = [at for at, hop in enumerate(chain_hops) if hop.after.stage.startswith("gs://")]
            at = objects[-1] if self._odd and objects else len(chain_hops) - 1
            chain_hops[at] = _mark_hop(chain_hops[at], self._wrong)
        return Chain(tuple(chain_hops), tuple(collector.notes))


_NOTHING_SENT = UploadSelection((), (), ())


def _packed_aside(contents: Iterable[bytes]) -> bytes:
    return b"".join(b"%d\n%b" % (len(data), data) for data in contents)


def _narrow_snapshot(snapshot: Snapshot, sent: Container[bytes]) -> Snapshot:
    """A snapshot of what is sent and nothing else."""
    kept = [entry for entry in snapshot.manifest.entries.values() if entry.path in sent]
    return snapshot._replace(manifest=Manifest(kept))


def _is_found_by_driver(entry: ManifestEntry | None, digest: bytes, content: bytes) -> bool:
    """Whether the driver comes upon a source by itself, among the files that were sent."""
    if entry is None or entry.mode == LINK or bytes.fromhex(entry.sha256) != digest:
        return False
    return is_source(entry.path, 0o755 if entry.mode == EXECUTABLE else 0o644, content[:HEAD])


def _variants(content: bytes, minors: set[int]) -> Iterator[bytes]:
    """What else is compiled to judge a source: without the f-strings that a target refuses, and as old scripts read it."""
    from buildguard.check.text_rules import as_old_scripts_read_it
    from buildguard.fstrings import rules
    from buildguard.fstrings.prefilter import may_be_refused
    from buildguard.project.source_text import decode_source, encode_source

    if b"\0" in content:
        yield as_old_scripts_read_it(content)
    if not may_be_refused(content):
        return
    text = decode_source(content)
    for minor in sorted(minors) if text is not None else ():
        if rules.refuses(content, minor):
            assert text is not None
            data = encode_source(rules.mask_fstrings(text, minor), content)
            if data is not None:
                yield data


def _mark_hop(hop: Hop, why: str) -> Hop:
    """A hop at which the object as a whole is another one; where no member shows it, the object itself is the difference."""
    if hop.findings:
        return hop._replace(notes=(*hop.notes, why))
    cut = "size" in why
    other = Difference(
        RelativePath(hop.after.stage.encode()),
        ChangeKind.CHANGED,
        CauseKind.TRUNCATED if cut else CauseKind.CONTENT,
        why,
    )
    return hop._replace(differences=(*hop.differences, other))


def _difference(difference: Difference, hop: Hop) -> Diagnostic:
    evidence = difference.evidence.partition("\n")[0]
    message = f"{difference.change} between {shorten_digests(hop.before.stage)} and {shorten_digests(hop.after.stage)}: {difference.cause}"
    message += f" ({shorten_digests(evidence)})" if evidence else ""
    hint = "this is damage on the way, and not your code: run this again, and compare what comes back"
    return Diagnostic(
        CODES[difference.change], Severity.ERROR, display_path(difference.path), Range(), message, hint, None, "cloud"
    )


def _impostor_diagnostic(url: str) -> Diagnostic:
    """An object is named by the SHA-256 of its bytes: other bytes under that name are no accident of ours."""
    message = f"{shorten_digests(url)} held other bytes under the name of this archive; it was replaced, and not used"
    hint = "look who else writes to this bucket: gcloud storage objects describe, and the bucket's audit log"
    return Diagnostic(Code.BG303, Severity.ERROR, DisplayPath(url), Range(), message, hint, None, "cloud")
