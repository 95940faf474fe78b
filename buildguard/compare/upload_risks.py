"""What is sent of a commit, what is left behind and by which rule, and what builds well and fails later. Pure."""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from buildguard.compare.difference import unread_paths
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import RelativePath, count, display_path
from buildguard.project.ignore import docker, gcloud
from buildguard.project.ignore.rules import IgnoreRule, parents
from buildguard.project.upload import link_target, select_uploaded
from buildguard.remote.source_names import SUFFIXES
from buildguard.stages.manifest import EXECUTABLE, LINK, Manifest, ManifestEntry, fold_path
from buildguard.stages.snapshot import Snapshot

_LARGE = 50 << 20
UNKNOWN, UNREAD = "unknown", "unread"  # kinds of risks that leave open what is sent


class DroppedPath(NamedTuple):
    """A path that is not sent, and the rule; it `matters` where Python or the Dockerfile would want it."""

    path: bytes
    rule: IgnoreRule
    matters: bool


class UploadRisk(NamedTuple):
    """Something that builds well and fails later: its kind, the path, and what happens."""

    kind: str
    path: bytes
    message: str


class UploadPlan(NamedTuple):
    """What gcloud sends of the files on disk (paths, in order), what it drops of the commit, and what is easily missed."""

    sent: tuple[bytes, ...]
    dropped: tuple[DroppedPath, ...]
    risks: tuple[UploadRisk, ...]

    @property
    def words(self) -> str:
        """How much is sent and dropped, as far as the files on disk could be read."""
        kinds = {risk.kind for risk in self.risks}
        if UNKNOWN in kinds:
            return "what a build would upload is unknown"
        least = "at least " if UNREAD in kinds else ""
        return f"a build would upload {least}{count(len(self.sent), 'file')}; gcloud's ignore rules drop {len(self.dropped)}"


class UploadFolder(NamedTuple):
    """A working tree on disk: what git lists, how a file is read, and whether `.git` is in that very folder.

    `unread` are the paths, as they are shown, of what could not be read. `unlisted` gives the files that git does not list; it is told which paths are sent (and whether each is a folder).
    """

    listed: Manifest
    read: Callable[[str], bytes | None]
    has_git: bool
    unlisted: Callable[[Callable[[str, bool], bool]], Iterable[bytes]] = lambda _keeps: ()
    unread: frozenset[str] = frozenset()


def plan_upload(
    committed: Snapshot, folder: UploadFolder, recipes: Sequence[tuple[str, str, frozenset[bytes]]]
) -> UploadPlan:
    """What becomes of a commit whose working tree is at hand; `recipes` are Dockerfile, context and what it copies.

    Raises UnprovenError where gcloud or docker fail on their ignore files.
    """
    worktree, read = folder.listed, folder.read
    rules = gcloud.GcloudIgnoreRules(read, has_git=folder.has_git)
    copied = frozenset[bytes]().union(*(paths for _dockerfile, _context, paths in recipes))
    sent, dropped = select_uploaded(committed.manifest.entries, rules)
    names = {entry.path: entry for entry in sent}
    on_disk = _sent_from_disk(worktree, committed.manifest, names, rules)
    hidden = list(folder.unlisted(lambda path, is_folder: rules.drops(path, is_folder=is_folder) is None))
    gone = tuple(DroppedPath(entry.path, rule, _matters(entry.path, copied)) for entry, rule in dropped)
    risks = [
        *(
            UploadRisk("dropped", drop.path, f"tracked by git, and gcloud does not send it: {drop.rule}")
            for drop in gone
            if drop.rule.line or drop.matters
        ),
        *(
            UploadRisk(UNREAD, os.fsencode(path), "could not be read, so what is sent of it is unknown")
            for path in sorted(folder.unread)
        ),
        *_untracked(committed, on_disk),
        *_hidden_from_git(hidden),
        *_kept_from_docker(names, read, recipes, copied),
        *_link_risks(names, copied),
        *_collision_risks(names),
        *_size_risks(names),
        *_mode_risks(names, worktree),
        *_mark_risks(names, committed.marks),
    ]
    return UploadPlan(tuple(sorted({*on_disk, *hidden})), gone, tuple(risks))


def _sent_from_disk(
    worktree: Manifest, committed: Manifest, sent: Container[bytes], rules: gcloud.GcloudIgnoreRules
) -> list[bytes]:
    """What is sent of the files that git lists; of those in the commit it is known already."""
    others = {path: entry for path, entry in worktree.entries.items() if path not in committed.entries}
    known = [path for path in worktree.entries if path in sent]
    return known + [entry.path for entry in select_uploaded(others, rules)[0]]


def _matters(path: bytes, copied: frozenset[bytes]) -> bool:
    return path.endswith(SUFFIXES) or path in copied


def _untracked(committed: Snapshot, on_disk: Iterable[bytes]) -> Iterator[UploadRisk]:
    unread = unread_paths(committed)
    for path in on_disk:
        if path not in committed.manifest.entries and display_path(path) not in unread:
            yield UploadRisk(
                "untracked", path, "not in the commit, and `gcloud builds submit` would send it; buildguard does not"
            )


def _hidden_from_git(paths: Iterable[bytes]) -> Iterator[UploadRisk]:
    """Files that git ignores and gcloud does not: one line for each folder at the top."""
    for top, group in groupby(sorted(paths), key=lambda path: path.partition(b"/")[0]):
        files = list(group)
        one = len(files) == 1
        what = "git ignores it" if one else f"git ignores {count(len(files), 'file')} in it"
        pronoun = "it" if one else "them"
        message = f"{what}, and `gcloud builds submit` would send {pronoun}; buildguard does not"
        yield UploadRisk("untracked", files[0] if one else top, message)


def _kept_from_docker(
    sent: Mapping[RelativePath, ManifestEntry],
    read: Callable[[str], bytes | None],
    recipes: Sequence[tuple[str, str, frozenset[bytes]]],
    copied: frozenset[bytes],
) -> Iterator[UploadRisk]:
    for dockerfile, context, paths in recipes:
        rules = docker.DockerIgnoreRules(read, context, dockerfile)
        for path in sent:
            rule = rules.drops(os.fsdecode(path)) if path in paths and _matters(path, copied) else None
            if rule is not None:
                yield UploadRisk(
                    "dockerignore", path, f"the Dockerfile would copy it, and docker does not send it: {rule}"
                )


def _link_risks(sent: Mapping[RelativePath, ManifestEntry], copied: frozenset[bytes]) -> Iterator[UploadRisk]:
    links = {path: entry for path, entry in sent.items() if entry.mode == LINK}
    folders = {".", *(folder for path in (sent if links else ()) for folder in parents(os.fsdecode(path)))}
    for path, entry in links.items():
        target = link_target(os.fsdecode(path), entry)
        if not target:
            yield UploadRisk(
                "symlink", path, f"leads out of what is sent, to {os.fsdecode(entry.text)}: it will dangle"
            )
            continue
        is_sent, is_copied = os.fsencode(target) in sent, os.fsencode(target) in copied
        if not is_sent and target not in folders:
            yield UploadRisk("symlink", path, f"leads to {target}, which is not sent: it will dangle")
        elif is_sent and path in copied and not is_copied:
            yield UploadRisk("symlink", path, f"leads to {target}, which the Dockerfile copies nowhere: it may dangle")


def _collision_risks(sent: Mapping[RelativePath, ManifestEntry]) -> Iterator[UploadRisk]:
    if b"".join(sent).isascii() and len({path.lower() for path in sent}) == len(sent):
        return  # soon done, as in most projects
    by_folded_path: dict[str, bytes] = {}
    for path in sent:
        other = by_folded_path.setdefault(fold_path(path), path)
        if other != path:
            yield UploadRisk(
                "collision", path, f"may be one name with {os.fsdecode(other)} on a disk that ignores case"
            )


def _size_risks(sent: Mapping[RelativePath, ManifestEntry]) -> Iterator[UploadRisk]:
    for path, entry in sent.items():
        if entry.size > _LARGE:
            yield UploadRisk("large", path, f"{entry.size >> 20} MB are sent with every build")


def _mode_risks(sent: Mapping[RelativePath, ManifestEntry], worktree: Manifest) -> Iterator[UploadRisk]:
    for path, entry in sent.items():
        here = worktree.entries.get(path)
        if here is not None and {entry.mode, here.mode} > {EXECUTABLE} and here.type == entry.type:
            words = (
                "executable here, and not in the commit" if here.mode == EXECUTABLE else "executable in the commit only"
            )
            yield UploadRisk("mode", path, words)
    twins = [path for path in sent if path in worktree.extras.twins]
    for path in twins:
        yield UploadRisk("hard-link", path, "a hard link here; it is sent as a file of its own")


_MARKS = {
    "crlf": "a script with Windows line ends (CRLF): Linux will not find its interpreter",
    "lfs": "a Git LFS pointer: the commit holds no content of it, and none is sent",
}


def _mark_risks(sent: Mapping[RelativePath, ManifestEntry], marks: Mapping[bytes, str]) -> Iterator[UploadRisk]:
    for path, mark in marks.items():
        if path in sent:
            yield UploadRisk(mark, path, _MARKS[mark])
