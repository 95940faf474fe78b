"""What other programs see in an archive: each extracts it, and the folder that comes out is compared."""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import TypeAlias

from tests.conftest import CASES

# a path with what it is: `d`, or `l` with its text, or `-` or `x` (a program) with the digest of its content
Listing: TypeAlias = dict[bytes, tuple[str, bytes | str]]

_PYTHON_TAR = """
import os, sys, tarfile
tarfile.TarFile.utime = lambda *_args: None
tarfile.TarFile.chown = lambda *_args, **_options: None
with tarfile.open(sys.argv[1], errorlevel=2) as tar:
    tar.extractall(sys.argv[2], filter="tar")
"""
_PYTHON_ZIP = """
import os, stat, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    assert archive.testzip() is None
    for info in archive.infolist():
        name, mode = info.filename, info.external_attr >> 16
        path = os.path.join(os.fsencode(sys.argv[2]), name.encode("utf-8", "surrogateescape"))
        if name.endswith("/"):
            os.makedirs(path, exist_ok=True)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if info.create_system == 3 and stat.S_ISLNK(mode):
            os.symlink(archive.read(info), path)
            continue
        with open(path, "wb") as out:
            out.write(archive.read(info))
        os.chmod(path, 0o755 if info.create_system == 3 and mode & 0o111 else 0o644)
"""
_HARMLESS = ("Error exit delayed", "can't be converted from UTF-8", "Cannot restore extended attributes")
_COMMANDS = {
    "tar": {
        "GNU tar": ("tar", "--no-same-owner", "-m", "-xf", "{file}", "-C", "{out}"),
        "bsdtar": ("bsdtar", "--no-same-owner", "-m", "-xf", "{file}", "-C", "{out}"),
        "Python": (sys.executable, "-c", _PYTHON_TAR, "{file}", "{out}"),
        "Go": ("{go}", "tar", "{file}", "{out}"),
    },
    "zip": {
        "unzip": ("unzip", "-^", "-qq", "-o", "{file}", "-d", "{out}"),
        "bsdtar": ("bsdtar", "--no-same-owner", "-m", "-xf", "{file}", "-C", "{out}"),
        "Python": (sys.executable, "-c", _PYTHON_ZIP, "{file}", "{out}"),
        "Go": ("{go}", "zip", "{file}", "{out}"),
    },
}


@functools.cache
def go_extractor() -> str:
    """The program that extracts with Go's own modules, compiled once; empty without Go."""
    go = shutil.which("go")
    if go is None:
        return ""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    program = os.path.join(folder, "extract")
    env = {**os.environ, "GOCACHE": os.path.join(folder, "cache"), "GO111MODULE": "off", "GOFLAGS": ""}
    subprocess.run([go, "build", "-o", program, CASES / "go/extract.go"], env=env, check=True)
    return program


def listings(file: Path, kind: str, place: Path) -> dict[str, Listing | str]:
    """What each program that is installed makes of an archive: a listing, or its complaint."""
    answers: dict[str, Listing | str] = {}
    for name, template in _COMMANDS[kind].items():
        words = [word.replace("{go}", go_extractor()) for word in template]
        if not words[0] or shutil.which(words[0]) is None:
            continue
        out = place / "out"
        out.mkdir()
        # unzip writes nothing outside of its folder, and the others are given only archives that were accepted before
        done = subprocess.run(
            [word.replace("{file}", str(file)).replace("{out}", str(out)) for word in words],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            umask=0,
            timeout=300,
        )
        complaint = "" if done.returncode == 0 else _complaint(done.stderr)
        answers[name] = complaint or _listing(out)
        shutil.rmtree(out)
    return answers


def _complaint(words: bytes) -> str:
    """What a program complains of, but for what bsdtar reads all the same: texts that are no UTF-8, attributes of links."""
    lines = words.decode("utf-8", "replace").splitlines()
    return "\n".join(line for line in lines if not any(harmless in line for harmless in _HARMLESS))[-300:]


def composed(path: bytes) -> bytes:
    """A name as bsdtar writes it: letters and accents composed (NFC), which is all that it changes."""
    return os.fsencode(unicodedata.normalize("NFC", os.fsdecode(path)))


def _listing(folder: Path) -> Listing:
    entries: Listing = {}
    base = os.fsencode(folder)
    for here, folders, files in os.walk(base):
        inside = here[len(base) + 1 :]
        for name in [*folders, *files]:
            path = os.path.join(here, name)
            entries[os.path.join(inside, name)] = _entry(path)
    return entries


def _entry(path: bytes) -> tuple[str, bytes | str]:
    if os.path.islink(path):
        return "l", os.readlink(path)
    if os.path.isdir(path):
        return "d", ""
    if not os.path.isfile(path):
        return "other", ""
    content = Path(os.fsdecode(path)).read_bytes()
    return "x" if os.stat(path).st_mode & 0o111 else "-", hashlib.sha256(content).hexdigest()
