"""`python -m bench.startup`: what the checks of the start cost `check` on 2,000 files, warm and without an engine.

Runs with and without them alternate, and CPU seconds (user and system) count, so that a busy machine slows both alike. Ends with status 1
where the difference of the medians is above the limit.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_FILES = 2_000
_PACKAGES = 40
_ROUNDS = 7
_LIMIT = 0.2  # seconds
_DOCKERFILE = (
    "FROM python:3.11-slim\nWORKDIR /srv\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\nCOPY . .\n"
    "CMD gunicorn -b :$PORT main:app\n"
)
_MAIN = "import sys\nfrom buildguard.cli.main import main\nsys.argv = ['buildguard', *sys.argv[1:]]\nmain()\n"
_WITHOUT = (  # what the checks import is not imported either
    "import sys, types\nsys.modules['buildguard.check.startup'] = types.SimpleNamespace(add_startup=lambda _job, _seen: None)\n"
)


def main() -> None:
    """Measure, and print the medians and their difference."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "project"
        _write_project(root)
        environment = {
            **os.environ,
            "BUILDGUARD_CACHE_DIR": f"{folder}/cache",
            "DOCKER_HOST": "unix:///nonexistent.sock",
        }
        programs = {"without": _WITHOUT + _MAIN, "with": _MAIN}
        rounds: dict[str, list[float]] = {name: [] for name in programs}
        for number in range(_ROUNDS + 1):
            for name, program in programs.items():
                seconds = _cpu_seconds([sys.executable, "-c", program, "check", "--target", "3.11"], root, environment)
                if number:  # the first one fills the cache
                    rounds[name].append(seconds)
    medians = {name: statistics.median(seconds) for name, seconds in rounds.items()}
    added = medians["with"] - medians["without"]
    print(f"{_FILES} files, warm: {medians['without']:.3f} s without, {medians['with']:.3f} s with, {added:+.3f} s")
    sys.exit(added > _LIMIT)


def _cpu_seconds(argv: list[str], folder: Path, environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _write_project(root: Path) -> None:
    """A service with one package for each fifty modules, tests that are not sent, and assets that no COPY leaves out."""
    body = "".join(f"def f{number}(a, b):\n    return a + b + {number}\n\n" for number in range(30))
    texts = {
        "Dockerfile": _DOCKERFILE,
        ".dockerignore": "tests\n*.md\n.git\n",
        "requirements.txt": "gunicorn\nflask\n",
        "main.py": "import json\nimport app\n\nCONFIG = json.load(open('config.json'))\napp = 1\n",
        "config.json": "{}\n",
        "README.md": "app\n",
    }
    for number in range(_PACKAGES):
        texts[f"app/p{number}/__init__.py"] = "x = 1\n"
    for number in range(_FILES - _PACKAGES - 101):
        here, there = number % _PACKAGES, (number + 1) % _PACKAGES
        texts[f"app/p{here}/m{number}.py"] = f"import os\nfrom app.p{there} import x\n\n{body}"
    for number in range(100):
        texts[f"tests/test_{number}.py"] = "import app\n"
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "tree"]):
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@example.invalid"]
        subprocess.run(["git", *identity, *command], cwd=root, check=True)


if __name__ == "__main__":
    main()
