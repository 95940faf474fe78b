"""The cloud engine's side of `check`: what is under check sent as it is, the one build for all targets, and its chain of custody."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Container, Iterator, Sequence
from typing import NamedTuple

from buildguard.check.context import Job, image_of
from buildguard.check.targets import Share
from buildguard.compare.build_stage import Workspace
from buildguard.compare.causes import CONTENT, TRUNCATED
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.diff import hops
from buildguard.compare.difference import CHANGED, CODES, Difference
from buildguard.compare.evidence import Collector, Side
from buildguard.compare.open_stage import looked_at, opened
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven, brief, shown_path
from buildguard.docker.image_stage import InImage
from buildguard.engines import cloud_round
from buildguard.engines.cloud import Answer
from buildguard.engines.cloud_request import Options
from buildguard.engines.cloud_results import Told
from buildguard.engines.cloud_round import Came
from buildguard.engines.verify_interpreter import questions
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_build import Seen as Build
from buildguard.gcp.cloud_build import left_running
from buildguard.gcp.object_stage import Object
from buildguard.gcp.storage import ChangedError, Stored
from buildguard.project.source_archive import Packed, Seen, Selected, pack_seen, select
from buildguard.remote.cloud_driver import is_source
from buildguard.remote.source_names import HEAD
from buildguard.stages.archive_snapshot import Archive
from buildguard.stages.filesystem import OnDisk
from buildguard.stages.manifest import EXECUTABLE, LINK, Entry, Manifest
from buildguard.stages.snapshot import UNREAD, Snapshot
from buildguard.system.temporary import folder_of

_NO_COMMIT = 315532800  # 1980: a time that every archive format can hold
_FEW = 3


class Brought(NamedTuple):
    """What a round through Cloud Build adds to a report, beside the verdicts."""

    chain: Chain | None
    diagnostics: tuple[Diagnostic, ...]
    unproven: tuple[Unproven, ...]
    notes: tuple[str, ...]


class CloudRun:
    """One build for all targets of a job, when the first of them asks."""

    def __init__(self, job: Job, shares: Sequence[Share], tell: Callable[[str], None]) -> None:
        self._job = job
        self._shares = shares
        self._tell = tell
        self._lock = threading.Lock()
        self._came: Came | UnprovenError | None = None
        self._sides: list[Side] = []
        self._wrong = ""
        self._impostors: list[str] = []
        self._odd = False
        self._unproven: list[str] = []
        self._notes: list[str] = []
        self._file = folder_of(self) / "source.tgz"
        self.running: Build | None = None

    def answer(self, image: str) -> Answer:
        """What the build told of an image; raises UnprovenError where it told nothing."""
        with self._lock:
            if self._came is None:
                try:
                    self._came = self._round()
                except UnprovenError as error:
                    self._came = error
        if isinstance(self._came, UnprovenError):
            raise self._came
        told = self._came.told[image]
        if isinstance(told, UnprovenError):
            raise told
        return Answer(told, self._came.image_digests[image])

    def brought(self) -> Brought:
        """What else came of it; empty where no engine asked."""
        if self._came is None:
            return Brought(None, (), (), ())
        if isinstance(self._came, cloud_round.Came):
            self._sides += self._workspace(self._came)
        chain = self._chain()
        found = [] if chain is None else [_difference(one, hop) for hop in chain.hops for one in hop.findings]
        found += map(_impostor, self._impostors)
        seen = [] if chain is None else chain.unproven
        told = [Unproven(None, None, what) for what in self._unproven]
        return Brought(chain, tuple(found), (*told, *seen), tuple(self._notes))

    def interrupted(self) -> None:
        """Say that a build still runs, and how to end it: raises BuildRunsError where there is one."""
        build = self.running
        if build is not None:
            raise left_running(build)

    # -------------------------------------------------------------------------------------- there

    def _round(self) -> Came:
        images = list(dict.fromkeys(self._image(share) for share in self._shares if self._image(share)))
        packed = self._packed()
        settings = self._settings()
        watch = cloud_round.Watch(self._tell, self._runs, self._lies, self._look_into, self._impostors.append)
        more = tuple(source.data for source in questions())
        sources = sum(len(share.entries) for share in self._shares)
        try:
            came = cloud_round.ask(
                cloud_round.Archive(self._file, packed.written.file_digest, sources), images, more, settings, watch
            )
        except ChangedError as error:
            self._wrong = error.what
            raise UnprovenError("nothing was compiled: what was to be built is not what was sent") from error
        self._wrong = came.wrong
        self._unproven += came.unproven
        self._notes += came.notes
        return came

    def _image(self, share: Share) -> str:
        return image_of(self._job.request, self._job.config, share.target)[0]

    def _runs(self, build: Build | None) -> None:
        self.running = build
        if build is not None:
            self._tell(f"Cloud Build runs {build.id}: {build.log_url}")

    def _lies(self, stored: Stored) -> None:
        """The archive as it lies in the bucket: its hashes were held against ours, so its members are the same."""
        archive = self._sides[-1]
        told = (("md5", stored.hashes.md5), ("crc32c", stored.hashes.crc32c))
        self._sides.append(Side(archive.stage, archive.snapshot._replace(stage=stored.url, digests=told)))

    def _look_into(self, url: str) -> None:
        """Put an object that is not the archive into the chain, as far as it can be read."""
        self._odd = True
        stage = Object(url)
        self._sides.append(Side(stage, looked_at(stage, url)))

    def _settings(self) -> cloud_round.Settings:
        request, table = self._job.request, self._job.config.cloud
        options = Options(table.worker_pool, table.service_account)
        return cloud_round.Settings(
            request.project or table.project,
            request.region or table.region,
            table.bucket,
            options,
            request.verify_download,
        )

    # -------------------------------------------------------------------------------------- what is sent

    def _packed(self) -> Packed:
        """The archive of what is under check, and of what is asked beside its files."""
        place = self._job.place
        seen = self._seen()
        selected = select(seen)
        aside = b"".join(b"%d\n%b" % (len(data), data) for data in self._aside(selected))
        repository = place.repository
        mtime = repository.time_of(repository.head) if repository is not None and repository.head else _NO_COMMIT
        packed = pack_seen(seen, selected, self._file, mtime, aside)
        self._note_dropped(selected)
        self._sides.append(Side(seen.stage, seen.snapshot))
        # what the ignore rules drop is left out of the chain: a note says so
        sent = {entry.path for entry in selected.sent}
        self._sides = [Side(one.stage, _narrowed(one.snapshot, sent)) for one in self._sides]
        name = f"tar:{packed.written.digest[:12]}.tgz"
        archive = Archive(name, self._file)
        self._sides.append(Side(archive, looked_at(archive, name)))
        return packed

    def _seen(self) -> Seen:
        place = self._job.place
        if isinstance(place.stage, InImage):
            raise UnprovenError("what lies in an image is not sent to Cloud Build", hint="--engine container")
        on_disk = isinstance(place.stage, OnDisk)
        text = "dir:." if on_disk else place.stage.name
        stage = opened(place.root if on_disk else self._job.request.cwd, [text])[0].stage
        seen = looked_at(stage, text)
        if seen.kind == UNREAD or not seen.manifest.entries:
            raise UnprovenError("; ".join(one.reason for one in seen.unproven) or "there is nothing to send")
        if on_disk:
            self._sides += self._committed(Side(stage, seen))
        return Seen(stage, seen, has_git=place.repository is not None)

    def _committed(self, worktree: Side) -> list[Side]:
        """The commit before the working tree, where that is as committed: what was edited since is no damage."""
        repository = self._job.place.repository
        if repository is None or not repository.head:
            return []
        stage = opened(repository.top, ["commit:HEAD"])[0].stage
        side = Side(stage, looked_at(stage, "commit:HEAD"))
        collector = Collector(repository, side.snapshot.commit, b"", list)
        edited = hops([side, worktree], collector)[0].findings
        if not edited:
            return [side]
        names = ", ".join(shown_path(one.path) for one in edited[:_FEW])
        more = f" and {len(edited) - _FEW} more" if len(edited) > _FEW else ""
        self._notes.append(f"the working tree is not as committed ({names}{more}): it was sent as it is")
        return []

    def _note_dropped(self, selected: Selected) -> None:
        by_rule: dict[str, int] = {}
        for _path, rule in selected.dropped:
            by_rule[str(rule)] = by_rule.get(str(rule), 0) + 1
        self._notes += [f"not sent with a build: {number} files, by {rule}" for rule, number in by_rule.items() if rule]

    def _aside(self, selected: Selected) -> Iterator[bytes]:
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
            if _is_asked(sent.get(entry.path), digest, content):
                covered.add(digest)
            else:
                beside[digest] = content
            for variant in _variants(content, minors):
                beside[hashlib.sha256(variant).digest()] = variant
        yield from (data for digest, data in sorted(beside.items()) if digest not in covered)

    # -------------------------------------------------------------------------------------- the chain

    def _workspace(self, came: Came) -> list[Side]:
        told: list[Told] = [one for one in came.told.values() if not isinstance(one, UnprovenError)]
        if not told:
            return []
        stage = Workspace(f"build:{came.build.id}", told[0].manifest, told[0].changed, came.build.provenance)
        return [Side(stage, looked_at(stage, f"build:{came.build.id}"))]

    def _chain(self) -> Chain | None:
        if len(self._sides) < 2:  # noqa: PLR2004
            return None
        repository = self._job.place.repository
        commit = (repository.head or "") if repository is not None else ""
        collector = Collector(repository, commit, b"", list)
        found = list(hops(self._sides, collector))
        if self._wrong:
            objects = [at for at, hop in enumerate(found) if hop.after.stage.startswith("gs://")]
            at = objects[-1] if self._odd and objects else len(found) - 1
            found[at] = _marked(found[at], self._wrong)
        return Chain(tuple(found), tuple(collector.notes))


def _narrowed(snapshot: Snapshot, sent: Container[bytes]) -> Snapshot:
    """A snapshot of what is sent and nothing else."""
    kept = [entry for entry in snapshot.manifest.entries.values() if entry.path in sent]
    return snapshot._replace(manifest=Manifest(kept))


def _is_asked(entry: Entry | None, digest: bytes, content: bytes) -> bool:
    """Whether the driver comes upon a source by itself, among the files that were sent."""
    if entry is None or entry.mode == LINK or bytes.fromhex(entry.sha256) != digest:
        return False
    return is_source(entry.path, 0o755 if entry.mode == EXECUTABLE else 0o644, content[:HEAD])


def _variants(content: bytes, minors: set[int]) -> Iterator[bytes]:
    """What else is compiled to judge a source: without the f-strings that a target refuses, and as old scripts read it."""
    from buildguard.check.text_rules import as_old_scripts_read_it
    from buildguard.fstrings import rules
    from buildguard.fstrings.prefilter import may_be_refused
    from buildguard.project.source_text import decoded, encoded

    if b"\0" in content:
        yield as_old_scripts_read_it(content)
    if not may_be_refused(content):
        return
    text = decoded(content)
    for minor in sorted(minors) if text is not None else ():
        if any(one.severity is Severity.ERROR for one in rules.findings(content, minor)):
            assert text is not None
            data = encoded(rules.masked(text, minor), content)
            if data is not None:
                yield data


def _marked(hop: Hop, why: str) -> Hop:
    """A hop at which the object as a whole is another one; where no member shows it, the object itself is the difference."""
    if hop.findings:
        return hop._replace(notes=(*hop.notes, why))
    cut = "size" in why
    other = Difference(hop.after.stage.encode(), CHANGED, TRUNCATED if cut else CONTENT, why)
    return hop._replace(differences=(*hop.differences, other))


def _difference(one: Difference, hop: Hop) -> Diagnostic:
    evidence = one.evidence.partition("\n")[0]
    message = f"{one.change} between {brief(hop.before.stage)} and {brief(hop.after.stage)}: {one.cause}"
    message += f" ({brief(evidence)})" if evidence else ""
    hint = "this is damage on the way, and not your code: run this again, and compare what comes back"
    return Diagnostic(CODES[one.change], Severity.ERROR, shown_path(one.path), Range(), message, hint, None, "cloud")


def _impostor(url: str) -> Diagnostic:
    """An object is named by the SHA-256 of its bytes: other bytes under that name are no accident of ours."""
    message = f"{brief(url)} held other bytes under the name of this archive; it was replaced, and not used"
    hint = "look who else writes to this bucket: gcloud storage objects describe, and the bucket's audit log"
    return Diagnostic("BG303", Severity.ERROR, url, Range(), message, hint, None, "cloud")
