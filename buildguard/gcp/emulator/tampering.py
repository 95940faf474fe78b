"""What faults do to a source between the bucket and the workspace: a member altered, lost, with other line ends, or old."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

from buildguard.errors import UsageError
from buildguard.gcp.emulator.faults import Faults
from buildguard.system import git


def older_source(folder: Path) -> bytes:
    """The archive of `HEAD~1` of the repository that a folder lies in; raises UsageError where there is none."""
    repository = git.repository_of(folder)
    if repository is None:
        raise UsageError("stale-source needs a git repository in the current folder")
    commit = repository.resolve("HEAD~1")
    child = repository.exported(commit)
    data, _errors = child.communicate()
    return data


def tampered(data: bytes, faults: Faults, stale: bytes | None) -> bytes:
    """The archive as it reaches the workspace."""
    if stale is not None and faults.takes("stale-source"):
        return stale
    changes: dict[str, Callable[[list[tarfile.TarInfo], dict[str, bytes]], None]] = {
        "alter-member": _alter,
        "drop-member": _drop,
        "crlf": _crlf,
    }
    for name, change in changes.items():
        if faults.takes(name):
            data = _remade(data, change)
    return data


def _remade(data: bytes, change: Callable[[list[tarfile.TarInfo], dict[str, bytes]], None]) -> bytes:
    """A tar with its regular members changed; what is no text and no source is left alone."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        contents = {one.name: tar.extractfile(one).read() for one in members if one.isfile()}  # type: ignore[union-attr]
    change(members, contents)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for one in members:
            content = contents.get(one.name, b"")
            one.size = len(content)
            tar.addfile(one, io.BytesIO(content))
    return made.getvalue()


def _first(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> tarfile.TarInfo:
    """The first source with something in it, else the first file."""
    files = [one for one in members if contents.get(one.name) and not one.name.startswith(".buildguard/")]
    return next((one for one in files if one.name.endswith(".py")), files[0])


def _alter(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    name = _first(members, contents).name
    contents[name] = bytes([contents[name][0] ^ 1]) + contents[name][1:]


def _drop(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.remove(_first(members, contents))


def _crlf(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    for one in members:
        if one.name in contents and one.name.endswith((".py", ".sh", ".txt")):
            contents[one.name] = contents[one.name].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
