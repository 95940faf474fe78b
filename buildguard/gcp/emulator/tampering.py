"""What faults do to a source between the bucket and the workspace: a member altered, lost, with other line ends, or old."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from buildguard.errors import UsageError
from buildguard.gcp.emulator.faults import FaultName, Faults
from buildguard.stages.archives.writer import END, MemberHeader, pack_member
from buildguard.system import git, git_wait


def older_source(folder: Path) -> bytes:
    """The archive of `HEAD~1` of the repository around a folder; raises UsageError if it is missing."""
    repository = git.repository_of(folder)
    if repository is None:
        raise UsageError("stale-source needs a git repository in the current folder")
    child = repository.exported(repository.resolve("HEAD~1"))
    return git_wait.finish(child, repository.top)[0]


def tamper(data: bytes, faults: Faults, stale: bytes | None) -> bytes:
    """The archive as it reaches the workspace."""
    if stale is not None and faults.takes(FaultName.STALE_SOURCE):
        return stale
    changes: dict[FaultName, Callable[[list[tarfile.TarInfo], dict[str, bytes]], None]] = {
        FaultName.ALTER_MEMBER: _alter,
        FaultName.DROP_MEMBER: _drop,
        FaultName.CRLF: _crlf,
    }
    for name, change in changes.items():
        if faults.takes(name):
            data = _rewrite_tar(data, change)
    return data


def _rewrite_tar(data: bytes, change: Callable[[list[tarfile.TarInfo], dict[str, bytes]], None]) -> bytes:
    """A tar with its regular members changed; what is no text and no source is left alone."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        contents = {member.name: tar.extractfile(member).read() for member in members if member.isfile()}  # type: ignore[union-attr]
    change(members, contents)
    return b"".join(piece for member in members for piece in _packed(member, contents.get(member.name, b""))) + END


def _packed(member: tarfile.TarInfo, content: bytes) -> Iterator[bytes]:
    path = os.fsencode(f"{member.name}/" if member.isdir() else member.name)
    link = os.fsencode(member.linkname)
    return pack_member(MemberHeader(path, member.type, member.mode, len(content), link, int(member.mtime)), content)


def _first(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> tarfile.TarInfo:
    """The first source with something in it, else the first file."""
    files = [member for member in members if contents.get(member.name) and not member.name.startswith(".buildguard/")]
    return next((member for member in files if member.name.endswith(".py")), files[0])


def _alter(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    name = _first(members, contents).name
    contents[name] = bytes([contents[name][0] ^ 1]) + contents[name][1:]


def _drop(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    members.remove(_first(members, contents))


def _crlf(members: list[tarfile.TarInfo], contents: dict[str, bytes]) -> None:
    for member in members:
        if member.name in contents and member.name.endswith((".py", ".sh", ".txt")):
            contents[member.name] = contents[member.name].replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
