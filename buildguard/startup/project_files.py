"""The files of a project as a build gets them: what is listed, what ignore rules drop, and what git has in store."""

from __future__ import annotations

import fnmatch
import functools
import os
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence

from buildguard.definitions import StrEnum
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.ignore import docker
from buildguard.project.ignore.rules import IgnoreRule
from buildguard.project.target import Certainty, ImageService
from buildguard.stages.stage import EntryKind, Stage, listing_of
from buildguard.system import git

_MOST_POINTERS = 200


class BuildSender(StrEnum):
    """Who sends the source of a build: a trigger from git, `gcloud` from this disk, or either."""

    TRIGGER = "trigger"
    SUBMIT = "submit"
    UNKNOWN = ""


class ProjectFileTree:
    """The paths of a stage, with their contents read when asked for."""

    def __init__(self, stage: Stage, repository: git.Repository | None, sender: BuildSender) -> None:
        self._stage = stage
        self._repository = repository
        self.sender = sender
        self._listing = listing_of(stage)
        self._contents: dict[str, bytes | None] = {}
        self._named: dict[Callable[[str], object], list[str]] = {}

    @property
    def _paths(self) -> list[str]:
        return self._listing.sorted_texts

    @property
    def root(self) -> str:
        """The top folder on this machine."""
        return os.fspath(self._stage.root)

    @property
    def is_working_tree(self) -> bool:
        """Whether the stage is this disk, and not an object of git or an archive."""
        return self._stage.name.startswith("dir:")

    def has(self, path: str) -> bool:
        """Whether a path is a file, or a folder with files."""
        return self.is_file(path) or self.is_folder(path)

    def is_file(self, path: str) -> bool:
        """Whether a path is listed itself."""
        return self._listing.find_text(path) is not None

    def is_folder(self, path: str) -> bool:
        """Whether files are below a path; the root is "" and always a folder."""
        return not path or next(self.below(path), None) is not None

    def below(self, folder: str) -> Iterator[str]:
        """Every file in a folder and the folders in it, in order."""
        start = f"{folder}/" if folder else ""
        at = bisect_left(self._paths, start)
        while at < len(self._paths) and self._paths[at].startswith(start):
            yield self._paths[at]
            at += 1

    def named(self, matches: Callable[[str], object], folder: str = "") -> list[str]:
        """The paths in a folder that a function of the name accepts; all paths are asked about once."""
        if matches not in self._named:
            self._named[matches] = [path for path in self._paths if matches(path)]
        start = f"{folder}/" if folder else ""
        return [path for path in self._named[matches] if path.startswith(start)]

    def kind(self, path: str) -> EntryKind:
        """What a listed path is."""
        entry = self._listing.find_text(path)
        if entry is None:
            raise KeyError(path)
        return entry.kind

    def is_behind_link(self, path: str) -> bool:
        """Whether a path, or a folder that it is in, is a symbolic link."""
        parts = path.split("/")
        prefixes = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
        return any(
            entry is not None and entry.kind is EntryKind.LINK for entry in map(self._listing.find_text, prefixes)
        )

    def read(self, path: str) -> bytes | None:
        """The content of a file; None where it is not listed or cannot be read."""
        if path not in self._contents:
            self.load([path])
        return self._contents[path]

    def load(self, paths: Iterable[str]) -> None:
        """Read several files at once."""
        wanted = [path for path in dict.fromkeys(paths) if path not in self._contents]
        self._contents |= dict.fromkeys(wanted)
        entries = [entry for path in wanted if (entry := self._listing.find_text(path)) is not None]
        for entry, content in self._stage.contents(entries):
            self._contents[os.fsdecode(entry.path)] = content if isinstance(content, bytes) else None

    def read_each(self, paths: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The files among some paths that can be read, each with its content, one after the other; what was not kept is not kept now."""
        others = []
        for path in paths:
            kept = self._contents.get(path)
            if kept is not None:
                yield path, kept
            elif path not in self._contents:
                others.append(path)
        entries = [entry for path in others if (entry := self._listing.find_text(path)) is not None]
        for entry, content in self._stage.contents(entries):
            if isinstance(content, bytes):
                yield os.fsdecode(entry.path), content

    def other_case(self, path: str) -> str:
        """The path of a file or folder that differs from this one in case alone; empty where none does."""
        return self._folded.get(path.casefold(), "")

    @functools.cached_property
    def _folded(self) -> dict[str, str]:
        folded: dict[str, str] = {}
        for path in self._paths:
            parts = path.split("/")
            for end in range(1, len(parts) + 1):
                prefix = "/".join(parts[:end])
                folded.setdefault(prefix.casefold(), prefix)
        return folded

    # -------------------------------------------------------------------------------------- git and the disk

    def is_executable(self, path: str) -> bool | None:
        """Whether a file is executable as it is sent; None where git and this disk differ and either may send it."""
        listed = self.kind(path) is EntryKind.EXECUTABLE
        if not self.is_working_tree or self.sender is BuildSender.TRIGGER:
            return listed
        on_disk = os.access(os.path.join(self.root, path), os.X_OK)
        return on_disk if self.sender is BuildSender.SUBMIT or listed == on_disk else None

    def modes(self, paths: Iterable[str]) -> dict[str, int]:
        """The modes of some files as they are sent, where they are known: git's for a trigger, this disk's for gcloud."""
        known = ((path, self.is_executable(path)) for path in paths)
        return {path: 0o755 if executable else 0o644 for path, executable in known if executable is not None}

    def sent_content(self, path: str) -> bytes | None:
        """The bytes of a file as they are sent: a trigger sends what git has in store, not this disk's line ends."""
        if self.sender is BuildSender.TRIGGER and self.is_working_tree and self._repository is not None:
            return self._stored(path)
        return self.read(path)

    def _stored(self, path: str) -> bytes | None:
        assert self._repository is not None
        raw = os.fsencode(path)
        try:
            oid = next((row.oid for row in self._repository.index_rows() if row.path == raw), None)
            if oid is None:
                return self.read(path)
            content = next(iter(self._repository.blobs([oid])))
            attributes = self._repository.attributes([raw], ["eol"]).get(raw, {})
        except GuardError:
            return None
        if not isinstance(content, bytes):
            return None
        is_windows = attributes.get("eol") == "crlf" and b"\r\n" not in content
        return content.replace(b"\n", b"\r\n") if is_windows else content

    @functools.cached_property
    def submodules(self) -> frozenset[str]:
        """The submodules without files here: nothing of them is sent."""
        if self._repository is None or not self.is_file(".gitmodules"):
            return frozenset()
        rows = [os.fsdecode(row.path) for row in self._repository.index_rows() if row.mode == git.SUBMODULE]
        return frozenset(path for path in rows if not self.is_folder(path))

    def submodule_of(self, path: str) -> str:
        """The submodule without files that a path is, or would be in; empty for any other."""
        return next((name for name in self.submodules if path == name or path.startswith(f"{name}/")), "")

    @functools.cached_property
    def placeholders(self) -> frozenset[str]:
        """The paths that stand for content that is stored elsewhere: Git LFS pointers, and submodules without files."""
        return self.submodules | _lfs_pointers(self)

    def git_ignore_rule(self, path: str) -> IgnoreRule | None:
        """The rule of a `.gitignore` that keeps a path out of git."""
        if not self._has_git_rules:
            return None
        from buildguard.project.ignore.rules import find_git_rule

        return find_git_rule(self.read, path)

    @functools.cached_property
    def _has_git_rules(self) -> bool:
        return any(path.endswith(".gitignore") for path in self._listing.texts)


class _UploadRules:
    """The rules of gcloud for the upload of one folder; paths and rules are named from the root."""

    def __init__(self, files: ProjectFileTree, folder: str) -> None:
        """Raises UnprovenError where gcloud itself fails on the files."""
        from buildguard.project.ignore import gcloud

        self._files = files
        self._start = f"{folder}/" if folder else ""
        self._rules = gcloud.GcloudIgnoreRules(lambda name: files.read(f"{self._start}{name}"), has_git=not folder)

    def drops(self, path: str) -> IgnoreRule | None:
        """The rule by which a path is not uploaded."""
        if not path.startswith(self._start):
            return None
        rule = self._rules.drops(path[len(self._start) :], is_folder=not self._files.is_file(path))
        return rule and rule._replace(file=f"{self._start}{rule.file}" if rule.line else rule.file)


class SentFiles:
    """Which files of a project arrive at docker for one image, and which rule drops the others."""

    def __init__(self, files: ProjectFileTree, service: ImageService) -> None:
        self.files = files
        self.context = service.context
        self.build_args = dict(service.build_args)
        self.reason = ""
        self._service = service
        self._dropped: dict[str, IgnoreRule | None] = {}
        self._gcloud = [rules for folder in self._uploads() if (rules := self._gcloud_rules(folder)) is not None]
        self._docker = self._docker_rules(service.dockerfile)

    def _uploads(self) -> Iterator[str]:
        """The folders that gcloud sends, one after the other: the root with the build, the service's own with a source deploy."""
        service, sender = self._service, self.files.sender
        is_alone = service.from_source and service.basis.known is not Certainty.DECLARED
        if sender is not BuildSender.TRIGGER and not is_alone:
            yield ""
        if service.context and (service.from_source or self._has_own_rules()):
            yield service.context

    def _has_own_rules(self) -> bool:
        """Whether the folder of the context has rules for gcloud, and no build file builds it from elsewhere."""
        from buildguard.project.ignore import gcloud

        is_built = self._service.basis.known is Certainty.DECLARED and self.files.sender is not BuildSender.UNKNOWN
        return not is_built and self.files.is_file(posixpath.join(self.context, gcloud.FILE))

    def _gcloud_rules(self, folder: str) -> _UploadRules | None:
        from buildguard.project.ignore import gcloud

        is_used = self.files.is_file(posixpath.join(folder, gcloud.FILE)) or self.files.sender is BuildSender.SUBMIT
        if not is_used and not (folder and self._service.from_source):
            return None
        try:
            return _UploadRules(self.files, folder)
        except UnprovenError as error:
            self.reason = error.words
            return None

    def _docker_rules(self, dockerfile: str) -> docker.DockerIgnoreRules | None:
        if not dockerfile:
            return None  # a buildpack builds it
        try:
            return docker.DockerIgnoreRules(self.files.read, self.context, dockerfile)
        except UnprovenError as error:
            self.reason = error.words
            return None

    def dropped_by(self, path: str) -> IgnoreRule | None:
        """The rule by which a file or folder does not arrive: gcloud's first, then docker's."""
        if path not in self._dropped:
            self._dropped[path] = self.gcloud_rule(path) or (self._docker.drops(path) if self._docker else None)
        return self._dropped[path]

    def gcloud_rule(self, path: str) -> IgnoreRule | None:
        """The rule of gcloud alone."""
        return next(filter(None, (rules.drops(path) for rules in self._gcloud)), None)

    def arrives(self, path: str) -> bool:
        """Whether a listed file arrives."""
        return self.files.is_file(path) and self.dropped_by(path) is None

    def folder_arrives(self, path: str) -> bool:
        """Whether a folder arrives; it may be empty, where only the files in it are dropped."""
        if not self.files.is_folder(path):
            return False
        return not path or self.dropped_by(path) is None or any(map(self.arrives, self.files.below(path)))


def _lfs_pointers(files: ProjectFileTree) -> frozenset[str]:
    """The files that attributes give to LFS and whose content, as it is sent, is a pointer."""
    from buildguard.stages.lfs import parse_pointer

    attributes = files.named(_is_attributes)
    patterns = [pattern for path in attributes for pattern in _lfs_patterns(files.read(path) or b"")]
    paths = [path for path in files.below("") if _matches(path, patterns)] if patterns else []
    files.load(paths[:_MOST_POINTERS])
    contents = ((path, files.sent_content(path)) for path in paths[:_MOST_POINTERS])
    return frozenset(path for path, content in contents if parse_pointer(content or b"") is not None)


def _is_attributes(path: str) -> bool:
    return path.endswith(".gitattributes")


def _matches(path: str, patterns: Sequence[str]) -> bool:
    name = posixpath.basename(path)
    return any(fnmatch.fnmatch(path, pattern) or fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _lfs_patterns(data: bytes) -> Iterator[str]:
    for line in data.decode("utf-8", "replace").splitlines():
        words = line.split()
        if "filter=lfs" in words[1:]:
            yield words[0].lstrip("/").replace("**/", "*")
