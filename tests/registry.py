"""A registry on loopback that the processes of one run of pytest share."""

from __future__ import annotations

import fcntl
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.conftest import missing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def shared(folder: Path) -> Iterator[str]:
    """Its address. Who comes first starts it in this folder, and ends it when every other has gone."""
    address, process = folder / "address", None
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("wb") as users:
        with (folder / "comes").open("wb") as comes:
            fcntl.flock(comes, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)  # waits for one that is about to end
            if not address.exists():
                process, told = _start(folder)
                address.write_text(told, "ascii")
        yield address.read_text("ascii")
        if process is not None:
            fcntl.flock(users, fcntl.LOCK_EX)
            address.unlink()
            process.terminate()
            process.wait()


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    program = shutil.which("docker-registry")
    if program is None:
        missing("docker-registry", "apt-get install docker-registry")
    config, log = folder / "registry.yml", folder / "log"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder}/data\nhttp:\n  addr: 127.0.0.1:0\n"
    )
    with log.open("wb") as written:
        process = subprocess.Popen([str(program), "serve", str(config)], stdout=written, stderr=written)
    for _ in range(1200):
        told = re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text("utf-8"))
        if told is not None:
            return process, f"localhost:{told[1]}"
        assert process.poll() is None, log.read_text("utf-8")
        time.sleep(0.1)
    pytest.fail(f"the registry does not say where it listens: {log.read_text('utf-8')}")
