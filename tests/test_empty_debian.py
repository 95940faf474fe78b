"""README's two commands in a Debian with python3, python3-venv and git and nothing else, as an ordinary user."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib import request

import pytest

from tests.conftest import REPOSITORY, missing

pytestmark = [pytest.mark.interpreters, pytest.mark.slow]

_MIRROR = "http://deb.debian.org/debian"
_PACKAGES = "python3,python3-venv,git,ca-certificates"
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
# The mounts end with the namespace, whatever becomes of the test.
_ENTER = """
mount -t proc proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 9
exec chroot "$1" su ann -c "$2"
"""


class Debian:
    """A system in a folder, and its one ordinary user with a clone of the project."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command in the clone, with an empty environment but for how this machine reaches the package index."""
        kept = [
            f"{name}={value}" for name, value in os.environ.items() if name.startswith(("PIP_INDEX", "PIP_DEFAULT"))
        ]
        words = ["env", "-i", "HOME=/home/ann", "PATH=/usr/bin:/bin", f"PIP_CERT=/{_CERTIFICATES}", *kept]
        inner = f"{' '.join(words)} sh -c 'cd /home/ann/buildguard && {command}'"
        entered = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", _ENTER, "sh", str(self._root), inner]
        return subprocess.run(entered, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def debian(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    """Debian 12, made by its own tool."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        missing("debootstrap, as root", "apt-get install debootstrap, and run the tests as root")
    try:
        with request.urlopen(f"{_MIRROR}/dists/bookworm/Release", timeout=60):
            pass
    except OSError as error:
        missing("Debian's packages", str(error))
    root = tmp_path_factory.mktemp("debian")
    made = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root), _MIRROR]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL)
    root.chmod(0o755)
    for name in ("etc/resolv.conf", "etc/hosts", _CERTIFICATES):
        if Path("/", name).exists():
            shutil.copyfile(Path("/", name), root / name)
    subprocess.run(["chroot", root, "useradd", "--create-home", "ann"], check=True)
    subprocess.run(["git", "clone", "-q", "--no-hardlinks", REPOSITORY, root / "home/ann/buildguard"], check=True)
    subprocess.run(["chroot", root, "chown", "-R", "ann", "/home/ann"], check=True)
    yield Debian(root)
    shutil.rmtree(root)


def test_the_first_command_shows_what_is_wrong_with_the_example(debian: Debian) -> None:
    done = debian.run("./scripts/try")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "6 errors" in done.stdout


def test_the_unit_tests_pass(debian: Debian) -> None:
    done = debian.run("./scripts/test fast")

    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout.splitlines()[-1])
    assert passed is not None, done.stdout[-500:]
    assert int(passed[1]) > 7000
