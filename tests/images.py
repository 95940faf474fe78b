"""Images to test with: pulled where a registry answers, else assembled from the interpreters of this machine."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import docker

from tests.conftest import interpreter, missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

REPOSITORY = "buildguard-test"
_NEVER = re.compile(
    r"(?:^|/)(?:__pycache__|site-packages|test|tests|idlelib|lib2to3|pydoc_data|turtledemo|ensurepip|tkinter|config-[^/]*)(?:/|$)"
    # with the libraries that they need: half an image, which every push and every export goes through
    r"|lib-dynload/(?:_tkinter|_test|_ctypes_test|_xx|xx|nis)"
)
# what the programs of tests and ours import: a container that compiles all of it first takes three times as long to start
_COMPILED = "ast, bisect, gzip, hashlib, http.server, json, opcode, resource, select, site, subprocess, tarfile, traceback, typing"
_LARGE = 10 << 20  # bytes
_PATH = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"


def api() -> Any:
    """The container engine that DOCKER_HOST names."""
    return _client(os.environ.get("DOCKER_HOST", ""))


@functools.cache
def _client(_host: str) -> Any:
    return docker.from_env(version="auto").api


def base(version: str) -> str:
    """The reference of an image like python:X.Y-slim, with this machine's patch release where it is assembled."""
    return assemble(f"{REPOSITORY}/python:{version}-slim", version, pulled=f"python:{version}-slim")


def exists(tag: str, recipe: str) -> bool:
    try:
        found = api().inspect_image(tag)
    except docker.errors.ImageNotFound:
        return False
    return bool((found["Config"].get("Labels") or {}).get("recipe") == recipe)


def assemble(
    tag: str,
    version: str,
    *,
    prefix: str = "usr/local",
    shell: bool = True,
    changes: Iterable[str] = (),
    pulled: str = "",
) -> str:
    """An image with one interpreter in `prefix`, the libraries that it needs, and busybox for a shell.

    `pulled` is the image that takes its place where a registry has it.
    """
    executable = interpreter(version)
    told = f"{Path(__file__).read_bytes()!r} {executable} {executable.stat()} {prefix} {shell} {list(changes)}"
    recipe = hashlib.sha256(told.encode()).hexdigest()
    with _one_at_a_time():
        if exists(tag, recipe):
            return tag
        if pulled and _pull(pulled, tag):
            return tag
        with Rootfs() as rootfs:
            rootfs.python(executable, prefix)
            if shell:
                rootfs.busybox()
            return rootfs.become(tag, [f"LABEL recipe={recipe}", f"ENV {_PATH}", 'CMD ["python3"]', *changes])


def _pull(reference: str, tag: str) -> bool:
    try:
        events = list(api().pull(*reference.split(":"), platform="linux/amd64", stream=True, decode=True))
    except docker.errors.APIError:
        return False
    return not any("error" in event for event in events) and bool(api().tag(reference, *tag.split(":")))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Tests run in several processes, and share the engine's images."""
    with open(f"/tmp/buildguard-images-{os.getuid()}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Rootfs:
    """A filesystem in the making: a tar on disk, which becomes an image."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  closed with us
        self._tar = tarfile.open(fileobj=self._file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._there: set[str] = set()
        self.add({"etc/passwd": "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n"})
        self.folder("tmp", 0o1777)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def add(self, files: Mapping[str, str | bytes], mode: int = 0o644, mtime: int = 1_700_000_000) -> Rootfs:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), mode, mtime
            self._tar.addfile(info, io.BytesIO(data))
        return self

    def folder(self, name: str, mode: int = 0o755) -> None:
        info = tarfile.TarInfo(name)
        info.type, info.mode = tarfile.DIRTYPE, mode
        self._tar.addfile(info)

    def link(self, name: str, target: str, *, hard: bool = False) -> Rootfs:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = tarfile.LNKTYPE if hard else tarfile.SYMTYPE, target
        self._tar.addfile(info)
        return self

    def copy(self, source: Path, name: str) -> None:
        if name not in self._there:
            self._there.add(name)
            info = self._tar.gettarinfo(os.path.realpath(source), name)
            info.uid = info.gid = 0
            with source.open("rb") as file:
                self._tar.addfile(info, file)

    def busybox(self) -> Rootfs:
        self.copy(Path("/bin/busybox"), "bin/busybox")
        for applet in ("sh", "env", "touch", "sleep", "ls", "cat", "mkdir", "cp", "rm", "ln"):
            self.link(f"bin/{applet}", "busybox")
        return self

    def python(self, executable: Path, prefix: str) -> Rootfs:
        """CPython below a prefix, with the libraries that `ldd` names."""
        told = f"import sys, sysconfig, {_COMPILED}; print(sys.base_prefix, sysconfig.get_path('stdlib'))"
        cached = "print(*[one.__cached__ for one in sys.modules.values() if getattr(one, '__cached__', None)])"
        words = [str(executable), "-I", "-S", "-c", f"{told}; {cached}"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        home, library, *compiled = map(Path, done.stdout.split())
        name = library.name
        for file in compiled:
            if file.is_file():  # a system's own Python may keep them elsewhere, or not at all
                self.copy(file, f"{prefix}/lib/{name}/{file.relative_to(library).as_posix()}")
        programs = [home / "bin" / name]
        for file in sorted(library.rglob("*")):
            relative = file.relative_to(library).as_posix()
            if file.is_file() and not _NEVER.search(relative):
                self.copy(file, f"{prefix}/lib/{name}/{relative}")
                programs += [file] if file.suffix == ".so" else []
        self.copy(programs[0], f"{prefix}/bin/{name}")
        self.link(f"{prefix}/bin/python3", name).link(f"{prefix}/bin/python", "python3")
        self.libraries(*programs)
        return self

    def libraries(self, *files: Path) -> None:
        listed = subprocess.run(["ldd", *files], capture_output=True, text=True, check=False).stdout
        # a line that is not indented names the file itself
        for path in sorted(set(re.findall(r"(?m)^\s.*?(/\S+\.so[.\d]*)\b", listed))):
            self._library(Path(path), path.lstrip("/"))

    def _library(self, path: Path, name: str) -> None:
        """A library, without its symbols where it is large: of a Python that was built here they are three quarters."""
        strip = shutil.which("strip")
        if strip is None or path.stat().st_size < _LARGE:
            self.copy(path, name)
            return
        with tempfile.TemporaryDirectory() as folder:
            stripped = Path(folder, path.name)
            subprocess.run([strip, "--strip-debug", "-o", stripped, path], check=True)
            self.copy(stripped, name)

    def become(self, tag: str, changes: Iterable[str]) -> str:
        """Import what there is as an image."""
        self._tar.close()
        self._file.seek(0)
        repository, _, name = tag.rpartition(":")
        answer = api().import_image_from_stream(
            iter(lambda: self._file.read(1 << 20), b""), repository=repository, tag=name, changes=list(changes)
        )
        assert "error" not in str(answer).lower(), answer
        return tag


def debian_minimal(folder: Path) -> str:
    """An image of Debian's real python3-minimal, which has no json, and neither a shell."""
    names = ["python3.11-minimal", "libpython3.11-minimal"]
    done = subprocess.run(
        ["apt-get", "download", "-qq", *names], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        missing("Debian's python3.11-minimal", f"apt-get update: {done.stderr}")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    assert not list((folder / "root").rglob("json"))
    with Rootfs() as rootfs:
        for file in sorted((folder / "root").rglob("*")):
            if file.is_file() and not file.is_symlink():
                rootfs.copy(file, file.relative_to(folder / "root").as_posix())
        rootfs.link("usr/bin/python3", "python3.11")
        rootfs.libraries(folder / "root/usr/bin/python3.11")
        return rootfs.become(f"{REPOSITORY}/minimal:3.11", ["ENV PATH=/usr/bin"])


_CONFIGURES = re.compile(r"(?:CMD|ENTRYPOINT|ENV|EXPOSE|LABEL|USER|WORKDIR /\S*)(?: [^\n]+)?$")


def derived(tag: str, parent: str, files: Mapping[str, str | bytes], instructions: Iterable[str] = ()) -> str:
    """An image with some files more: a real build, or a commit where that comes to the same, which takes a third of the time."""
    lines = [*instructions]
    config = api().inspect_image(parent)["Config"]
    if all(map(_CONFIGURES.match, lines)) and (config.get("Cmd") or config.get("Entrypoint")):
        return _committed(tag, parent, files, lines)
    return built(tag, parent, files, lines)


def _committed(tag: str, parent: str, files: Mapping[str, str | bytes], changes: Sequence[str]) -> str:
    folders = {str(folder) for name in files for folder in Path(name).parents[:-1]}
    folders |= {line.partition(" ")[2].strip("/") for line in changes if line.startswith("WORKDIR ")}
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for folder in sorted(folders - {"", "tmp"}):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        _add_files(tar, files)
    identity = api().create_container(parent)["Id"]
    try:
        assert not (folders or files) or api().put_archive(identity, "/", data.getvalue())
        repository, _, name = tag.rpartition(":") if ":" in tag.rpartition("/")[2] else (tag, "", "latest")
        api().commit(identity, repository=repository, tag=name, changes=[*changes])
    finally:
        api().remove_container(identity, force=True)
    return tag


def _add_files(tar: tarfile.TarFile, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(data), 0o755
        tar.addfile(info, io.BytesIO(data))


def built(tag: str, parent: str, files: Mapping[str, str | bytes], instructions: Iterable[str] = ()) -> str:
    """An image with some files more, by a real build."""
    context = io.BytesIO()
    lines = [f"FROM {parent}", *(["COPY files/ /"] if files else []), *instructions]
    recipe = {"Dockerfile": "\n".join(lines) + "\n"}
    with tarfile.open(fileobj=context, mode="w") as tar:
        _add_files(tar, {**recipe, **{f"files/{name}": content for name, content in files.items()}})
    context.seek(0)
    for event in api().build(
        fileobj=context,
        custom_context=True,
        tag=tag,
        rm=True,
        forcerm=True,
        nocache=True,
        network_mode="none",
        decode=True,
    ):
        assert "error" not in event, event
    return tag


def kept(tag: str, parent: str, files: Mapping[str, str | bytes], instructions: Sequence[str] = ()) -> str:
    """The same, built once for all the tests of an engine."""
    told = f"{api().inspect_image(parent)['Id']} {sorted(files.items())} {instructions}"
    recipe = hashlib.sha256(told.encode()).hexdigest()
    with _one_at_a_time():
        if not exists(tag, recipe):
            derived(tag, parent, files, [*instructions, f"LABEL recipe={recipe}"])
    return tag


def docker_builder() -> str:
    """An image of Debian's docker CLI under the name of Cloud Build's own."""
    program = shutil.which("docker")
    if program is None:
        missing("the docker CLI", "apt-get install docker.io")
    tag = "gcr.io/cloud-builders/docker"
    with _one_at_a_time(), Rootfs() as rootfs:
        if not exists(tag, "docker"):
            rootfs.copy(Path(str(program)), "usr/bin/docker")
            rootfs.busybox().libraries(Path(str(program)))
            rootfs.become(f"{tag}:latest", ['ENTRYPOINT ["/usr/bin/docker"]', "LABEL recipe=docker"])
    return tag


def foreign(tag: str, architecture: str) -> str:
    """The same image, said to be for another machine."""
    saved = tarfile.open(fileobj=io.BytesIO(b"".join(api().get_image(tag))))  # noqa: SIM115  in memory
    changed = io.BytesIO()
    manifest = json.loads(saved.extractfile("manifest.json").read())  # type: ignore[union-attr]
    with tarfile.open(fileobj=changed, mode="w") as tar:
        for member in saved.getmembers():
            data = saved.extractfile(member).read() if member.isfile() else b""  # type: ignore[union-attr]
            if member.name == manifest[0]["Config"]:
                data = json.dumps(json.loads(data) | {"architecture": architecture}).encode()
                member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    api().remove_image(tag, force=True)
    for event in api().load_image(changed.getvalue()):
        assert "error" not in event, event
    return tag
