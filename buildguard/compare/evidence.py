"""Collecting what tells why a hop changed: contents, history, ignore rules, git's own filters. Asked only where needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from buildguard.compare.difference import ADDED, CHANGED, MODE, REMOVED, TYPE, Difference, HopEvidence
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.ignore import docker, gcloud
from buildguard.project.ignore.rules import IgnoreRule
from buildguard.stages.archives.tar import MemberKind, TarReader
from buildguard.stages.snapshot import Snapshot, Snapshotter, StageKind
from buildguard.system import git, process

_MOST_CONTENT = 256 << 20  # of all files of a hop together; what is beyond is told by digests


class CopyRecipe(NamedTuple):
    """How an image is built: its Dockerfile, its context, and the project's paths that it copies.

    `doubts` gives the reason for each path of which its Dockerfile does not decide whether the image has it.
    """

    dockerfile: str
    context: str
    copied: frozenset[bytes]
    doubts: Mapping[bytes, str] = {}


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
        self._committed: dict[bytes, str] | None = None
        self.notes: list[str] = []

    def of(self, before: HopSide, after: HopSide, rows: list[Difference]) -> HopEvidence:
        """What there is to know of the rows of a hop."""
        if not rows:
            return HopEvidence()
        by_change = {
            change: {row.path for row in rows if row.change == change}
            for change in (ADDED, REMOVED, CHANGED, MODE, TYPE)
        }
        closer = {row.path: row for row in rows if row.change in {CHANGED, TYPE}}
        contents = [_contents(side, closer) for side in (before, after)]
        to_worktree = after.snapshot.kind is StageKind.WORKTREE and before.snapshot.kind.in_git
        drops = self._drops(before, after.snapshot, by_change[REMOVED])
        removed = by_change[REMOVED] - drops.keys()
        image = after.snapshot.kind is StageKind.IMAGE
        recipes = self._recipes_of(after.snapshot) if by_change[REMOVED] and not to_worktree else []
        copied = self._copied(before, recipes) if recipes else None
        return HopEvidence(
            contents[0],
            contents[1],
            self._find_in_history([row for row in rows if row.change in {ADDED, CHANGED}]),
            drops,
            self._exported(before.snapshot, removed) if not to_worktree and not image else None,
            self._filtered(before.snapshot, by_change[CHANGED]) if to_worktree else {},
            copied,
            self._off("core.fileMode") if to_worktree and by_change[MODE] else "",
            self._off("core.symlinks") if to_worktree and by_change[TYPE] else "",
            self._now() if before.snapshot.kind is StageKind.WORKTREE else {},
            _doubts(recipes) if image else {},
        )

    def _recipes_of(self, after: Snapshot) -> list[CopyRecipe]:
        """The Dockerfiles that may have built an image, every one for another stage."""
        recipes = self._recipes()
        return [one for one in recipes if one.dockerfile == after.dockerfile] or recipes

    def _copied(self, before: HopSide, recipes: list[CopyRecipe]) -> frozenset[bytes]:
        """What the Dockerfiles copy, less what docker is told to leave out."""
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

    def _find_in_history(self, rows: list[Difference]) -> dict[tuple[bytes, str], str]:
        """The newest commit that gave each path the blob that it has now."""
        found: dict[tuple[bytes, str], str] = {}
        if self._repository is None or not self._commit or not rows:
            return found
        now = self._now()
        wanted = {(one.path, one.after.blob) for one in rows if one.after is not None and one.after.blob}
        wanted = {(path, blob) for path, blob in wanted if now.get(path) != blob}  # what is committed is not stale
        paths = [self._prefix + path for path, _blob in wanted]
        try:
            for commit, path, blob in self._repository.history(self._commit, paths) if paths else ():
                key = (path[len(self._prefix) :], blob)
                if key in wanted:
                    found.setdefault(key, commit)
        except UnprovenError as error:
            self.notes.append(error.words)  # a history that cannot be read explains nothing
        return found

    def _now(self) -> dict[bytes, str]:
        """The blob of each path in the commit that all is held against."""
        if self._committed is None:
            rows = self._repository.tree(self._commit).rows if self._repository is not None and self._commit else []
            self._committed = {
                row.path[len(self._prefix) :]: row.oid for row in rows if row.path.startswith(self._prefix)
            }
        return self._committed

    # -------------------------------------------------------------------------------------- who drops what

    def _drops(self, before: HopSide, after: Snapshot, removed: AbstractSet[bytes]) -> dict[bytes, str]:
        """The ignore rules that explain why some paths did not arrive."""
        if not removed or after.kind not in {StageKind.ARCHIVE, StageKind.IMAGE}:
            return {}
        read = file_reader(before)
        try:
            if after.kind is StageKind.ARCHIVE:
                has_git = (
                    before.snapshot.kind in {StageKind.COMMIT, StageKind.INDEX, StageKind.WORKTREE} and not self._prefix
                )
                ignore_rules = gcloud.GcloudIgnoreRules(read, has_git=has_git)
                rules: dict[bytes, IgnoreRule | None] = {
                    path: ignore_rules.drops(os.fsdecode(path)) for path in removed
                }
            else:
                recipes = self._recipes_of(after)
                several = [docker.DockerIgnoreRules(read, recipe.context, recipe.dockerfile) for recipe in recipes]
                # without a file of its own gcloud may never have sent anything
                sent = gcloud.GcloudIgnoreRules(read, has_git=False) if read(gcloud.FILE) is not None else None
                rules = {
                    path: _first(several, os.fsdecode(path)) or (sent.drops(os.fsdecode(path)) if sent else None)
                    for path in removed
                }
        except UnprovenError as error:
            self.notes.append(error.words)
            return {}
        return {path: str(rule) for path, rule in rules.items() if rule is not None}

    def _exported(self, before: Snapshot, removed: AbstractSet[bytes]) -> dict[bytes, str] | None:
        """What `git archive` makes of the commit; None where no attribute can be at work."""
        attributes = any(path.rpartition(b"/")[2] == b".gitattributes" for path in before.manifest.entries)
        if not removed or not attributes or self._repository is None or before.kind is not StageKind.COMMIT:
            return None
        digests: dict[bytes, str] = {}
        child = self._repository.exported(before.commit)
        assert child.stdout is not None
        try:
            reader = TarReader(iter(lambda: os.read(child.stdout.fileno(), 1 << 18), b""))  # type: ignore[union-attr]
            for member in reader:
                if member.kind is not MemberKind.FOLDER and member.path.startswith(self._prefix):
                    digest = hashlib.sha256()
                    for piece in reader.content():
                        digest.update(piece)
                    digests[member.path[len(self._prefix) :]] = digest.hexdigest()
        except UnprovenError:
            return None
        finally:
            process.stop(child)
        return digests

    # -------------------------------------------------------------------------------------- git's own filters

    def _filtered(self, before: Snapshot, changed: AbstractSet[bytes]) -> dict[bytes, tuple[str, str]]:
        """The rows whose worktree bytes git's filters turn into what was committed, and the filters' names."""
        files = [path for path in sorted(changed) if before.manifest.entries[path].type == "file"]
        if self._repository is None or not files:
            return {}
        full = [self._prefix + path for path in files]
        try:
            oids = self._repository.filtered(full)
            committed = {row.path: row.oid for row in self._rows_of(before)}
            same = [path for path in files if oids.get(self._prefix + path) == committed.get(self._prefix + path)]
            attributes = self._repository.attributes([self._prefix + path for path in same], _FILTERS)
        except UnprovenError as error:
            self.notes.append(error.words)
            return {}
        crlf = self._repository.setting("core.autocrlf")
        return {
            path: (before.manifest.entries[path].blob, _name_filters(attributes.get(self._prefix + path, {}), crlf))
            for path in same
        }

    def _rows_of(self, before: Snapshot) -> list[git.GitEntry]:
        assert self._repository is not None
        if before.kind is StageKind.INDEX:
            return self._repository.index_rows()
        return self._repository.tree(before.commit).rows

    def _off(self, name: str) -> str:
        """A setting by which git says that the disk cannot hold something."""
        off = self._repository is not None and self._repository.setting(name) == "false"
        return f"{name}=false" if off else ""


_FILTERS = ("text", "eol", "ident", "working-tree-encoding")


def _name_filters(attributes: Mapping[str, str], crlf: str) -> str:
    words = [f"{name}={value}" if value != "set" else name for name, value in attributes.items()]
    return (
        ", ".join([*words, *([f"core.autocrlf={crlf}"] if crlf and "eol" not in attributes else [])]) or "its filters"
    )


def _doubts(recipes: list[CopyRecipe]) -> dict[bytes, str]:
    """Why the image may lack a path: by what one Dockerfile leaves open, or since several may have built it."""
    found = {path: f"{reason} ({one.dockerfile})" for one in recipes for path, reason in one.doubts.items()}
    if len(recipes) > 1:
        shared = frozenset.intersection(*(one.copied for one in recipes))
        for one in recipes:
            why = f"{one.dockerfile} copies it, and may not have built this image"
            found |= {path: why for path in one.copied - shared if path not in found}
    return found


def _first(several: list[docker.DockerIgnoreRules], path: str) -> IgnoreRule | None:
    rules = [docker_rules.drops(path) for docker_rules in several]
    return rules[0] if rules and all(rules) else None


def file_reader(side: HopSide) -> Callable[[str], bytes | None]:
    """Reads a file of a stage by its path; None where there is none."""

    def read(name: str) -> bytes | None:
        path = os.fsencode(name)
        if path not in side.snapshot.manifest.entries:
            return None
        content = side.stage.originals([path])[path]
        return content if isinstance(content, bytes) else None

    return read


def _contents(side: HopSide, rows: Mapping[bytes, Difference]) -> dict[bytes, bytes]:
    left = _MOST_CONTENT
    wanted = []
    for path in rows:
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
        if isinstance(content, bytes) and hashlib.sha256(content).hexdigest() == entry.sha256:
            yield path, content
