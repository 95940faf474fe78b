"""Evidence for the causes of a hop: contents, history, ignore rules and git's own filters, read only where needed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from types import MappingProxyType
from typing import TypeAlias

from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.hop_evidence import HopEvidence
from buildguard.definitions import NamedTuple
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.ignore import docker, gcloud
from buildguard.project.ignore.rules import IgnoreRule
from buildguard.stages.archives.tar import MemberKind, TarReader
from buildguard.stages.git_snapshot import GitSnapshotter
from buildguard.stages.manifest import sha256_of
from buildguard.stages.snapshot import Snapshot, Snapshotter, StageKind
from buildguard.system import git, process

_MOST_CONTENT = 256 << 20  # of all files of a hop together; beyond that only digests are compared
_DropRule: TypeAlias = Callable[[str], IgnoreRule | None]


class CopyRecipe(NamedTuple):
    """How an image is built: its Dockerfile, its context, and the project's paths that it copies.

    `doubts` gives the reason for each path of which its Dockerfile does not decide whether the image has it.
    """

    dockerfile: str
    context: str
    copied: frozenset[bytes]
    doubts: Mapping[bytes, str] = MappingProxyType({})


class HopSide(NamedTuple):
    """One stage of a hop, with its snapshot."""

    stage: Snapshotter
    snapshot: Snapshot


class EvidenceCollector:
    """Evidence for the hops of one chain; `repository` and `commit` are what their history is looked up in, if any."""

    def __init__(
        self, repository: git.Repository | None, commit: str, prefix: bytes, recipes: Callable[[], list[CopyRecipe]]
    ) -> None:
        self._repository = repository
        self._commit = commit
        self._prefix = prefix
        self._recipes = recipes
        self._committed: Mapping[bytes, str] | None = None
        self.notes: list[str] = []

    def collect(self, before: HopSide, after: HopSide, rows: Sequence[Difference]) -> HopEvidence:
        """Everything that is known of the rows of a hop."""
        if not rows:
            return HopEvidence()
        paths = {change: frozenset(row.path for row in rows if row.change is change) for change in ChangeKind}
        closer = [row.path for row in rows if row.change in {ChangeKind.CHANGED, ChangeKind.TYPE}]
        evidence = HopEvidence(_contents(before, closer), _contents(after, closer))
        if after.snapshot.kind is StageKind.WORKTREE and before.snapshot.kind.in_git:
            evidence = evidence._replace(older=self._find_in_history(rows))
            return self._add_settings(evidence, before, paths)
        evidence = self._add_rules(evidence, before, after.snapshot, paths[ChangeKind.REMOVED])
        evidence = evidence._replace(older=self._find_in_history(rows))
        if after.snapshot.kind is not StageKind.IMAGE:
            removed = paths[ChangeKind.REMOVED] - evidence.drops.keys()
            evidence = evidence._replace(unexported=self._unexported(before.snapshot, removed))
        if before.snapshot.kind is StageKind.WORKTREE:
            evidence = evidence._replace(committed=self._committed_blobs())
        return evidence

    def _add_settings(
        self, evidence: HopEvidence, before: HopSide, paths: Mapping[ChangeKind, AbstractSet[bytes]]
    ) -> HopEvidence:
        """With the filters and settings by which git makes a working tree."""
        return evidence._replace(
            filtered=self._filtered(before, paths[ChangeKind.CHANGED]),
            no_modes=self._switched_off("core.fileMode") if paths[ChangeKind.MODE] | paths[ChangeKind.CHANGED] else "",
            no_links=self._switched_off("core.symlinks") if paths[ChangeKind.TYPE] else "",
        )

    def _add_rules(
        self, evidence: HopEvidence, before: HopSide, after: Snapshot, removed: AbstractSet[bytes]
    ) -> HopEvidence:
        """With the ignore rules and the Dockerfiles that leave paths out."""
        if not removed:
            return evidence
        drops = self._drops(before, after, removed)
        recipes = self._recipes_of(after)
        copied = self._copied(before, recipes) if recipes else None
        doubts = _doubts(recipes) if after.kind is StageKind.IMAGE else {}
        return evidence._replace(drops=drops, copied=copied, doubts=doubts)

    def _recipes_of(self, after: Snapshot) -> list[CopyRecipe]:
        """The Dockerfiles that may have built an image, every one for another stage."""
        recipes = self._recipes()
        return [recipe for recipe in recipes if recipe.dockerfile == after.dockerfile] or recipes

    def _copied(self, before: HopSide, recipes: list[CopyRecipe]) -> frozenset[bytes]:
        """The paths that the Dockerfiles copy, less those that a .dockerignore leaves out."""
        paths: set[bytes] = set()
        for recipe in recipes:
            try:
                rules = docker.DockerIgnoreRules(file_reader(before), recipe.context, recipe.dockerfile)
            except UnprovenError as error:
                self.notes.append(error.words)
                paths |= recipe.copied
                continue
            paths.update(path for path in recipe.copied if rules.drops(os.fsdecode(path)) is None)
        return frozenset(paths)

    def _find_in_history(self, rows: Sequence[Difference]) -> dict[tuple[bytes, str], str]:
        """The newest commit that gave each path the blob that it has now."""
        wanted = self._stale_candidates(rows)
        older: dict[tuple[bytes, str], str] = {}
        if self._repository is None or not wanted:
            return older
        paths = [self._prefix + path for path, _blob in wanted]
        try:
            for commit, path, blob in self._repository.history(self._commit, paths):
                key = (path[len(self._prefix) :], blob)
                if key in wanted:
                    older.setdefault(key, commit)
        except UnprovenError as error:
            self.notes.append(error.words)  # a history that cannot be read explains nothing
        if self._repository.is_shallow() and wanted - older.keys():
            note = "shallow clone: a file of an older commit is not recognized as stale; git fetch --unshallow"
            self.notes += [note] if note not in self.notes else []
        return older

    def _stale_candidates(self, rows: Sequence[Difference]) -> set[tuple[bytes, str]]:
        """The paths with a new blob that is not the committed one."""
        changed = [row for row in rows if row.change in {ChangeKind.ADDED, ChangeKind.CHANGED}]
        if self._repository is None or not self._commit or not changed:
            return set()
        committed = self._committed_blobs()
        blobs = {(row.path, row.after.blob) for row in changed if row.after is not None and row.after.blob}
        return {(path, blob) for path, blob in blobs if committed.get(path) != blob}

    def _committed_blobs(self) -> Mapping[bytes, str]:
        """The blob of each path in the commit that every stage is compared with."""
        if self._committed is None:
            rows = self._repository.tree(self._commit).rows if self._repository is not None and self._commit else []
            self._committed = {
                row.path[len(self._prefix) :]: row.oid for row in rows if row.path.startswith(self._prefix)
            }
        return self._committed

    # -------------------------------------------------------------------------------------- rules that leave paths out

    def _drops(self, before: HopSide, after: Snapshot, removed: AbstractSet[bytes]) -> dict[bytes, str]:
        """The ignore rules that explain why some paths did not arrive."""
        try:
            if after.kind is StageKind.ARCHIVE:
                drops = self._upload_rules(before)
            elif after.kind is StageKind.IMAGE:
                drops = self._image_rules(before, after)
            else:
                return {}
            rules = {path: drops(os.fsdecode(path)) for path in removed}
        except UnprovenError as error:
            self.notes.append(error.words)
            return {}
        return {path: str(rule) for path, rule in rules.items() if rule is not None}

    def _upload_rules(self, before: HopSide) -> _DropRule:
        kind = before.snapshot.kind
        has_git = (kind.in_git or kind is StageKind.WORKTREE) and not self._prefix
        return gcloud.GcloudIgnoreRules(file_reader(before), has_git=has_git).drops

    def _image_rules(self, before: HopSide, after: Snapshot) -> _DropRule:
        """The rules of docker, and those of gcloud where it may have sent the context."""
        read = file_reader(before)
        dockers = [docker.DockerIgnoreRules(read, each.context, each.dockerfile) for each in self._recipes_of(after)]
        # without a .gcloudignore the context may have come from somewhere else
        sent = gcloud.GcloudIgnoreRules(read, has_git=False) if read(gcloud.FILE) is not None else None

        def drops(path: str) -> IgnoreRule | None:
            return _dropped_by_all(dockers, path) or (sent.drops(path) if sent is not None else None)

        return drops

    def _unexported(self, before: Snapshot, removed: AbstractSet[bytes]) -> AbstractSet[bytes]:
        """The removed paths of a commit that `git archive` leaves out; of a working tree, those of the commit that it is compared with."""
        attributes = any(path.rpartition(b"/")[2] == b".gitattributes" for path in before.manifest.entries)
        if self._repository is None or before.kind not in {StageKind.COMMIT, StageKind.WORKTREE}:
            return frozenset()
        if before.kind is StageKind.WORKTREE:
            removed = removed & self._committed_blobs().keys()
        commit = before.commit or self._commit
        if not removed or not attributes or not commit:
            return frozenset()
        child = self._repository.exported(commit)
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        try:
            return removed - _tar_paths(TarReader(iter(lambda: os.read(descriptor, 1 << 18), b"")), self._prefix)
        except UnprovenError:
            return frozenset()
        finally:
            process.stop(child)

    # -------------------------------------------------------------------------------------- git's own filters

    def _filtered(self, before: HopSide, changed: AbstractSet[bytes]) -> dict[bytes, tuple[str, str]]:
        """The rows whose worktree bytes git's filters turn into what was committed, and the filters' names.

        Each repository has attributes of its own, so the files of a submodule are asked of that.
        """
        assert isinstance(before.stage, GitSnapshotter)
        stage, entries = before.stage.stage, before.snapshot.manifest.entries
        files = [self._prefix + path for path in sorted(changed) if entries[path].type == "file"]
        committed = {row.path: row.oid for row in stage.rows()} if files else {}
        named: dict[bytes, str] = {}
        for (home, inside), group in groupby(files, key=stage.home):
            try:
                named |= _name_matching_filters(home, inside, {path: committed.get(path, "") for path in group})
            except UnprovenError as error:
                self.notes.append(error.words)
        own = {path[len(self._prefix) :]: filters for path, filters in named.items()}
        return {path: (entries[path].blob, filters) for path, filters in own.items()}

    def _switched_off(self, name: str) -> str:
        """A setting, where git has it off because the disk cannot store such a thing."""
        off = self._repository is not None and self._repository.setting(name) == "false"
        return f"{name}=false" if off else ""


_FILTERS = ("text", "eol", "ident", "working-tree-encoding")


def _name_matching_filters(home: git.Repository, inside: bytes, committed: Mapping[bytes, str]) -> dict[bytes, str]:
    """The files below the top of a repository (`inside`) of which git makes the committed object, with the filters' names."""
    oids = home.filtered([path[len(inside) :] for path in committed])
    same = [path[len(inside) :] for path, oid in committed.items() if oids.get(path[len(inside) :]) == oid]
    attributes = home.attributes(same, _FILTERS)
    crlf = home.setting("core.autocrlf")
    return {inside + path: _name_filters(attributes.get(path, {}), crlf) for path in same}


def _name_filters(attributes: Mapping[str, str], crlf: str) -> str:
    words = [f"{name}={value}" if value != "set" else name for name, value in attributes.items()]
    return (
        ", ".join([*words, *([f"core.autocrlf={crlf}"] if crlf and "eol" not in attributes else [])]) or "its filters"
    )


def _doubts(recipes: list[CopyRecipe]) -> dict[bytes, str]:
    """Why the image may lack a path: by what one Dockerfile leaves open, or since several may have built it."""
    doubts = {path: f"{reason} ({each.dockerfile})" for each in recipes for path, reason in each.doubts.items()}
    if len(recipes) > 1:
        shared = frozenset.intersection(*(recipe.copied for recipe in recipes))
        for recipe in recipes:
            reason = f"{recipe.dockerfile} copies it, and may not have built this image"
            doubts |= {path: reason for path in recipe.copied - shared if path not in doubts}
    return doubts


def _dropped_by_all(several: list[docker.DockerIgnoreRules], path: str) -> IgnoreRule | None:
    rules = [docker_rules.drops(path) for docker_rules in several]
    return rules[0] if rules and all(rules) else None


def _tar_paths(reader: TarReader, prefix: bytes) -> set[bytes]:
    """The path of each member below a prefix."""
    members = (member.path for member in reader if member.kind is not MemberKind.FOLDER)
    return {path[len(prefix) :] for path in members if path.startswith(prefix)}


def file_reader(side: HopSide) -> Callable[[str], bytes | None]:
    """Reads a file of a stage by its path; None if it is missing."""

    def read(name: str) -> bytes | None:
        path = os.fsencode(name)
        if path not in side.snapshot.manifest.entries:
            return None
        content = side.stage.originals([path])[path]
        return content if isinstance(content, bytes) else None

    return read


def _contents(side: HopSide, paths: Sequence[bytes]) -> dict[bytes, bytes]:
    left = _MOST_CONTENT
    wanted = []
    for path in paths:
        entry = side.snapshot.manifest.entries[path]
        left -= entry.size
        if left < 0:
            break
        wanted.append(path)
    try:
        return dict(_readable(side, wanted))
    except GuardError:
        return {}


def _readable(side: HopSide, paths: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The contents that are still what was hashed."""
    for path, content in side.stage.originals(paths).items():
        entry = side.snapshot.manifest.entries[path]
        if isinstance(content, bytes) and sha256_of(content) == entry.sha256:
            yield path, content
