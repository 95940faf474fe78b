"""What a Dockerfile's commands need of a context that is copied as a whole: files by name, modules of start commands. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile

_FILE = lazy_pattern(r"(?<![\w$}/.-])((?:\.{0,2}/)?[\w][\w./-]*\.(?:txt|py|toml|cfg|sh|lock))(?![\w/])")
_MODULE = lazy_pattern(r"(?<![\w./:])([A-Za-z_]\w*(?:\.\w+)*):[A-Za-z_]\w*(?:\(\))?(?![\w:/])")
_RUN_MODULE = lazy_pattern(r"""-m["',\s]+([A-Za-z_]\w*(?:\.\w+)*)""")
_STARTS = frozenset({"CMD", "ENTRYPOINT"})
_MOST = 50


class NeededFile(NamedTuple):
    """A file that a command needs: the paths from the context, of which one has to exist, and the command's line."""

    paths: tuple[str, ...]
    line: int


def copies_whole_context(data: bytes) -> bool:
    """Whether any COPY takes the context as a whole."""
    return any(
        step.name in {"COPY", "ADD"} and _is_whole(step)
        for stage in dockerfile.stages(data, {})
        for step in stage.instructions
    )


def needed_files(data: bytes) -> list[NeededFile]:
    """The files that RUN, CMD and ENTRYPOINT need below the folders to which the context is copied."""
    needed: dict[NeededFile, None] = {}
    known: dict[str, _Folders] = {}
    for stage in dockerfile.stages(data, {}):
        folders = known.get(stage.base.lower(), _Folders("/", None))
        for step in stage.instructions:
            folders = _follow(folders, step)
            if folders.copied is not None:
                needed.update(dict.fromkeys(_needs(step, folders)))
        if stage.alias:
            known[stage.alias] = folders
    return list(needed)[:_MOST]


class _Folders(NamedTuple):
    """The working folder, and the folder to which the context was copied, None before that."""

    working: str
    copied: str | None


def _follow(folders: _Folders, step: dockerfile.Instruction) -> _Folders:
    if step.name == "WORKDIR":
        return folders._replace(working=posixpath.normpath(posixpath.join(folders.working, step.text.strip("\"' "))))
    if step.name in {"COPY", "ADD"} and _is_whole(step):
        destination = step.text.strip(" []").split()[-1].strip("\"',")
        return folders._replace(copied=posixpath.normpath(posixpath.join(folders.working, destination)))
    return folders


def _is_whole(step: dockerfile.Instruction) -> bool:
    words = [word.strip("[]\"',") for word in step.text.partition("\n")[0].split()]
    sources = {posixpath.normpath(posixpath.join("/", word)) for word in words[:-1] if word}
    return bool(sources & {"/", "/*"}) and not any(flag.startswith("--from=") for flag in step.flags)


def _needs(step: dockerfile.Instruction, folders: _Folders) -> Iterator[NeededFile]:
    if step.name == "RUN" and not any(word in step.text for word in (">", "curl", "wget", "git clone", "cd ")):
        yield from (NeededFile((path,), step.line) for path in _files(step.text, folders))
    elif step.name in _STARTS:
        yield from (NeededFile((path,), step.line) for path in _files(step.text, folders))
        for match in (*_MODULE.finditer(step.text), *_RUN_MODULE.finditer(step.text)):
            path = _below(match[1].replace(".", "/"), folders)
            if path is not None and "/" in path:  # `-m gunicorn` is no module of the project
                yield NeededFile((f"{path}.py", f"{path}/__init__.py", f"src/{path}.py"), step.line)


def _files(text: str, folders: _Folders) -> Iterator[str]:
    for match in _FILE.finditer(text):
        path = _below(match[1], folders)
        if path is not None:
            yield path


def _below(path: str, folders: _Folders) -> str | None:
    """A path of a command from the context; None where it is not below the folder to which that was copied."""
    whole = posixpath.normpath(posixpath.join(folders.working, path))
    start = (folders.copied or "/").rstrip("/") + "/"
    return whole[len(start) :] if whole.startswith(start) and start != "/" else None
