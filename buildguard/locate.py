"""The place of a command: its root, the stage that it reads, and its paths relative to the root."""

from __future__ import annotations

import os
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.errors import GuardError, UsageError, did_you_mean
from buildguard.project import config
from buildguard.stages.filesystem import resolve_path, stage_on_disk
from buildguard.stages.git_objects import commit_of, index_of
from buildguard.stages.stage import Stage, listing_of
from buildguard.system import git

STAGES = ("commit:", "index:", "dir:", "tar:", "gs://", "image:", "build:", "manifest:")
ARCHIVES = (".tar", ".tgz", ".tar.gz", ".zip")
_MARKS = ("Dockerfile", "Containerfile", *(name.decode() for name in config.FILES))


class WorkScope(NamedTuple):
    """`paths` are relative to the root; an empty one is the root itself, and none at all means everything."""

    root: Path
    repository: git.Repository | None
    stage: Stage
    paths: tuple[bytes, ...]


def locate(cwd: Path, given: tuple[str, ...], *, staged: bool = False) -> WorkScope:
    """The place of a command line; raises UsageError for paths that do not exist or are not in one repository."""
    given = tuple(f"tar:{text}" if _is_archive(cwd, text) else text for text in given)
    stages = [text for text in given if text.startswith(STAGES) and not text.startswith("dir:")]
    if stages:
        _refuse_beside(stages[0], given, staged=staged)
        return _open_named_stage(cwd, stages[0])
    paths = [resolved_parent(cwd, text.removeprefix("dir:") or ".") for text in given]
    folder = _folder_of(paths[0] if paths else resolve_path(cwd))
    repository = git.repository_of(_existing(folder))
    if staged:
        place = _in_index(repository, paths)
        _refuse_missing(cwd, given, paths, place)
        return place
    _refuse_missing(cwd, given, paths)
    if repository is None:
        root = _marked_root(folder, resolve_path(cwd))
    else:
        root = resolve_path(repository.top)
        repository = repository._replace(top=root)
    relative = _relative(paths, root)  # before the stage: git starts listing there
    return WorkScope(root, repository, stage_on_disk(root, repository), relative)


def _refuse_beside(stage: str, given: tuple[str, ...], *, staged: bool) -> None:
    if len(given) > 1:
        raise UsageError("check takes one stage", hint=f"to compare stages: buildguard diff {' '.join(given)}")
    if staged:
        raise UsageError(f"--staged and '{stage}' cannot be combined", hint=f"buildguard check {stage}")


def _refuse_missing(cwd: Path, given: tuple[str, ...], paths: list[Path], index: WorkScope | None = None) -> None:
    for number, (path, text) in enumerate(zip(paths, given, strict=True)):
        if not (os.path.lexists(path) or (index is not None and _is_staged(index, index.paths[number]))):
            raise UsageError(f"'{text}' not found", hint=suggest_path(cwd, text) or f"paths are relative to {cwd}")


def _is_staged(index: WorkScope, path: bytes) -> bool:
    """Whether a file or folder that is missing on disk is in the index, or deleted there."""
    assert index.repository is not None
    if listing_of(index.stage).below([path]):
        return True
    return any(staged == path or staged.startswith(path + b"/") for staged in index.repository.staged_paths())


def suggest_path(cwd: Path, text: str) -> str:
    """A hint for a path that is missing: a stage whose prefix was mistyped, or a name in the same folder."""
    prefix, colon, rest = text.partition(":")
    if colon and (hint := did_you_mean(f"{prefix}:", STAGES)):
        return hint.replace(":'", f":{rest}'")
    found, missing = cwd, Path(text)
    for number, part in enumerate(missing.parts):
        if not os.path.lexists(found / part):
            names = os.listdir(found) if found.is_dir() else []
            below = missing.parts[number + 1 :]
            close = [str(Path(*missing.parts[:number], name, *below)) for name in names]
            hint = did_you_mean(text, [path for path in close if os.path.lexists(cwd / path)])
            return hint or _suggest_commit(cwd, text)
        found /= part
    return ""


def _suggest_commit(cwd: Path, text: str) -> str:
    """A hint for a revision without its prefix."""
    try:
        repository = git.repository_of(cwd)
        return f"did you mean 'commit:{text}'?" if repository is not None and repository.resolve(text) else ""
    except GuardError:
        return ""


def _is_archive(cwd: Path, text: str) -> bool:
    return text.endswith(ARCHIVES) and not text.startswith(STAGES) and (cwd / text).is_file()


def _folder_of(path: Path) -> Path:
    return path if path.is_dir() and not path.is_symlink() else path.parent


def _in_index(repository: git.Repository | None, paths: list[Path]) -> WorkScope:
    if repository is None:
        raise git.missing_repository("--staged needs a git repository")
    relative = _relative(paths, resolve_path(repository.top))
    repository.begin_staged()
    stage = index_of(repository)
    stage.begin_reading()
    return WorkScope(repository.top, repository, stage, relative)


def resolved_parent(cwd: Path, text: str) -> Path:
    """An absolute path whose folders have no links; its last part may be one, for that is under check."""
    path = cwd / text
    if path.name in {"", ".", ".."}:
        return resolve_path(path)
    return resolve_path(path.parent) / path.name


def _existing(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _open_named_stage(cwd: Path, text: str) -> WorkScope:
    if text.startswith("tar:"):
        return _in_archive(cwd, text)
    if text.startswith("gs://"):
        return _in_bucket(cwd, text)
    if text.startswith(("manifest:", "build:")):
        raise UsageError(
            f"'{text}' holds only digests, so there is nothing to compile", hint=f"buildguard diff dir:. {text}"
        )
    if text.startswith("image:"):
        raise UsageError(f"'{text}' is read by the commands check, diff and manifest")
    repository = git.repository_of(cwd)
    if repository is None:
        raise git.missing_repository(f"'{text}' needs a git repository")
    kind, _, rest = text.partition(":")
    if kind == "index":
        if rest:
            raise UsageError("'index:' takes nothing after the colon")
        return WorkScope(repository.top, repository, index_of(repository), ())
    return WorkScope(repository.top, repository, commit_of(repository, rest or "HEAD"), ())


def _in_archive(cwd: Path, text: str) -> WorkScope:
    from buildguard.stages.archive import ArchiveStage

    file = cwd / text.removeprefix("tar:")
    if not file.is_file():
        name = text.removeprefix("tar:")
        raise UsageError(f"file '{name}' not found", hint=suggest_path(cwd, name))
    return WorkScope(resolve_path(cwd), None, ArchiveStage(text, file, resolve_path(cwd)), ())


def _in_bucket(cwd: Path, text: str) -> WorkScope:
    from buildguard.gcp.object_stage import fetch
    from buildguard.gcp.storage import ObjectUrl
    from buildguard.stages.archive import ArchiveStage
    from buildguard.system import temporary

    with temporary.folder() as folder:
        file = folder / "object"
        fetch(ObjectUrl.parse(text), file)
        return WorkScope(resolve_path(cwd), None, ArchiveStage(text, file, resolve_path(cwd)), ())


def _marked_root(folder: Path, cwd: Path) -> Path:
    """The nearest folder at or above that holds configuration or a Dockerfile, else the working folder."""
    for above in (folder, *folder.parents):
        if any((above / mark).is_file() for mark in _MARKS):
            return above
    return cwd if folder.is_relative_to(cwd) else folder


def _relative(paths: list[Path], root: Path) -> tuple[bytes, ...]:
    relative = []
    for path in paths:
        if not path.is_relative_to(root):
            raise UsageError(f"'{path}' is outside of {root}", hint="check one repository at a time")
        text = os.fsencode(path.relative_to(root))
        relative.append(b"" if text == b"." else text)
    return tuple(relative)
