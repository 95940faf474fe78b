"""SIGKILL at random moments: what a killed run leaves, and whether the next one still tells the truth."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests import served

if TYPE_CHECKING:
    from collections.abc import Callable

BUILDGUARD = Path(sys.executable).with_name("buildguard")
_MARK = "BUILDGUARD_TRIAL"
_BROKEN = 'd = {"a": 1}\nprint(f"{d["a"]}")\n'
BAD = {f"app/bad{number}.py" for number in range(4)}
_PATIENCE = 60.0  # seconds that children of a killed run may take to notice

COMMANDS: dict[str, tuple[str, ...]] = {
    "check": ("check", "--format", "json", "--engine", "interpreter"),
    "check, predicted": ("check", "--format", "json", "--proof", "predicted"),
    "check to a file": ("check", "--format", "json", "--engine", "interpreter", "--output", "report.json"),
    "fix": ("fix",),
    "manifest": ("manifest", "commit:HEAD", "--output", "made.json", "--format", "json"),
    "diff": ("diff", "commit:HEAD", "dir:.", "--format", "json"),
    "init": ("init",),
    "diagnose": ("diagnose", "--html", "page.html"),
}


class Place:
    """A repository in which runs are killed, with a cache and a folder for temporary files of its own."""

    def __init__(self, folder: Path, image: str = "python:3.11-slim") -> None:
        self.path = folder / "repository"
        self.temporary = folder / "tmp"
        self.cache = folder / "cache"
        self.temporary.mkdir(parents=True)
        self.files = {f"app/m{number}.py": f"x = {number}\n" * 50 for number in range(120)}
        self.files |= dict.fromkeys(BAD, _BROKEN)
        self.files |= {"Dockerfile": f"FROM {image}\nCOPY . .\n"}
        self.env = {
            **os.environ,
            "TMPDIR": str(self.temporary),
            "BUILDGUARD_CACHE_DIR": str(self.cache),
            "HOME": str(folder),
            _MARK: str(folder),
        }
        self.started: set[int] = set()
        self.path.mkdir()
        self.restore()
        for words in (
            ("init", "-q"),
            ("add", "-A"),
            ("-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-qm", "all"),
        ):
            subprocess.run(["git", *words], cwd=self.path, env=self.env, check=True)

    def restore(self) -> None:
        """Every file as it was committed, and nothing else."""
        for file in self.path.rglob("*"):
            if file.is_file() and ".git" not in file.relative_to(self.path).parts:
                file.unlink()
        for name, content in self.files.items():
            file = self.path / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(content)
        for hook in (self.path / ".git/hooks").glob("pre-commit*"):
            hook.unlink()

    def start(self, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [BUILDGUARD, *words],
            cwd=self.path,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.add(child.pid)
        return child

    def run(self, words: tuple[str, ...]) -> tuple[int, bytes]:
        child = self.start(words)
        out, _err = child.communicate(timeout=300)
        return child.returncode, out

    def run_after(self, words: tuple[str, ...]) -> tuple[int, bytes]:
        """A run that nothing happens to, and that leaves nothing to be looked for."""
        if not served.is_faithful(self.env):
            return self.run(words)
        done = served.run([str(BUILDGUARD), *words], self.path, self.env, b"", 300)
        return done.returncode, done.stdout

    def scratch(self) -> set[str]:
        """What there is of temporary names."""
        folders = (self.temporary, self.path, self.path / "app")
        return {f"{one}/{name}" for one in folders for name in os.listdir(one) if "buildguard-" in name}

    def processes(self) -> list[int]:
        """What still runs of all that was started here."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with suppress(OSError):
                    if f"{_MARK}={self.env[_MARK]}".encode() in (entry / "environ").read_bytes():
                        found.append(int(entry.name))
        return found


def killed(place: Place, command: str, seed: int) -> tuple[str, bool]:
    """Kill one run, at a random moment or just when it writes something, and look at what is left.

    The first thing that is wrong, empty where nothing is; and whether the killed run had left something temporary.
    """
    place.restore()
    rng = random.Random(f"{command} {seed}")
    before = place.scratch()
    child = place.start(COMMANDS[command])
    if seed % 2:
        until = time.monotonic() + 3
        while child.poll() is None and place.scratch() <= before and time.monotonic() < until:
            time.sleep(0.0002)  # it would take the processor from what it waits for
        time.sleep(rng.uniform(0, 0.001))
    else:
        with suppress(subprocess.TimeoutExpired):
            child.wait(rng.uniform(0.02, 1.2))
    child.kill()
    child.communicate()
    left = bool(place.scratch() - before)
    return still_running(place) or _half_written(place, command) or _next(place, command), left


def still_running(place: Place) -> str:
    """What was started here and does not end, though it has time for that; empty where nothing is."""
    until = time.monotonic() + _PATIENCE
    while (still := place.processes()) and time.monotonic() < until:
        time.sleep(0.05)
    return f"processes {still} still run" if still else ""


def _half_written(place: Place, command: str) -> str:
    for name, content in place.files.items():
        now = (place.path / name).read_text() if (place.path / name).exists() else ""
        if now != content and not (command == "fix" and name in BAD and "['a']" in now and len(now) == len(content)):
            return f"{name} was lost or half written"
    for name, whole in _WHOLE.items():
        file = place.path / name
        if file.exists() and not whole(file.read_text()):
            return f"{name} is half written"
    return ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_WHOLE: dict[str, Callable[[str], bool]] = {
    "report.json": _is_json,
    "made.json": _is_json,
    "page.html": lambda text: text.rstrip().endswith("</html>"),
    ".pre-commit-config.yaml": lambda text: "buildguard" in text,
    "buildguard.toml": lambda text: "target" in text,
}


def _next(place: Place, command: str) -> str:
    """The same once more, whole; then nothing of the killed one is left, and a check tells the truth."""
    status, _out = place.run_after(COMMANDS[command])
    if status not in {0, 1}:
        return f"the next run ended with {status}"
    known = {*_WHOLE}
    there = {str(file.relative_to(place.path)) for file in place.path.rglob("*") if file.is_file()}
    odd = {name for name in there if not name.startswith(".git/")} - {*place.files} - known
    odd |= {name for name in there if name.endswith(".lock")}
    if odd:
        return f"left in the repository: {sorted(odd)}"
    left = sorted(os.listdir(place.temporary))
    place.restore()
    status, out = place.run_after(COMMANDS["check"])
    if left and (left := sorted({*left} & {*os.listdir(place.temporary)})):
        return f"left in the folder for temporary files: {left}"
    report = json.loads(out)
    refused = {one["path"] for one in report["diagnostics"] if one["severity"] == "error"}
    if (status, refused) != (1, BAD) or report["unproven"]:
        return f"the next check ended with {status} and refuses {sorted(refused)}"
    return ""


def main(times: int) -> int:
    """Each command that often; 1 where anything was wrong."""
    import tempfile

    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for number, command in enumerate(COMMANDS):
            place = Place(Path(folder) / str(number))
            runs = [killed(place, command, seed) for seed in range(times)]
            found = [words for words, _left in runs if words]
            wrong += len(found)
            left = sum(left for _words, left in runs)
            print(
                f"{command:20} {times} kills, {left} in the middle of a file, {len(found)} wrong {found[:3]}",
                flush=True,
            )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 15))
