"""Running commands side by side and timing them: several rounds, each of all commands, so that noise hits all alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


# bytecode is kept where people run it: an environment that forbids it would have every start compile all of buildguard
_SURROUNDINGS = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


# a check with findings ends with 1, as do the tools beside it, and xargs with 123 where one of its programs did
_ANSWERED = frozenset({0, 1, 123})


class FailedCommandError(Exception):
    """A command gave no answer, so its time is the time of nothing."""


class Command(NamedTuple):
    """One contestant: its argv, where it runs, its environment, and what to do before each run."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str] = {}
    before: Callable[[], object] = lambda: None


class Timing(NamedTuple):
    """Wall seconds of each round."""

    rounds: list[float]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.rounds)

    def spread(self) -> str:
        """The middle one, and in brackets the shortest and the longest."""
        return f"{self.median:.2f} ({min(self.rounds):.2f}-{max(self.rounds):.2f})"


def side_by_side(commands: Mapping[str, Command], rounds: int) -> dict[str, Timing]:
    """Time every command once a round, in turn; raises FailedCommandError for one that did not do its work."""
    found: dict[str, Timing] = {name: Timing([]) for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            command.before()
            started = time.perf_counter()
            with tempfile.TemporaryFile() as words:
                done = subprocess.run(
                    command.argv,
                    cwd=command.cwd,
                    env={**_SURROUNDINGS, **command.env},
                    stdout=words,
                    stderr=subprocess.STDOUT,
                    check=False,
                )
                elapsed = time.perf_counter() - started
                if done.returncode not in _ANSWERED:
                    raise FailedCommandError(f"{name} ended with {done.returncode}: {_last_line(words)}")
            found[name].rounds.append(elapsed)
    return found


def _last_line(words: IO[bytes]) -> str:
    words.seek(0)
    lines = words.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "it printed nothing")


def ratio(first: Timing, second: Timing) -> str:
    """How many times the second the first takes: median, and the span over the rounds."""
    ratios = [one / other for one, other in zip(first.rounds, second.rounds, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def memory(argv: Sequence[str], cwd: Path) -> tuple[float, float]:
    """Peak resident megabytes of `buildguard …` itself and of its largest child."""
    code = (
        "import resource, sys\nfrom buildguard.cli.main import main\nsys.argv = ['buildguard', *sys.argv[2:]]\n"
        "try: main()\nexcept SystemExit: pass\n"
        "peaks = [resource.getrusage(w).ru_maxrss for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]\n"
        "open(sys.argv0, 'w').write(' '.join(map(str, peaks)))"
    ).replace("sys.argv0", "OUT")
    with tempfile.NamedTemporaryFile("r") as out:
        program = f"OUT = {out.name!r}\n{code}"
        subprocess.run([sys.executable, "-c", program, "-", *argv], cwd=cwd, stdout=subprocess.DEVNULL, check=False)
        own, child = (int(peak) / 1024 for peak in Path(out.name).read_text("ascii").split())
    return own, child
