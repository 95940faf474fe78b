"""Draws the pictures of the documentation from real runs: `python scripts/pictures.py` in `.venv`.

Terminals become SVG files without fonts of another host, the page of `check --html` a PNG file (with Chromium, where it is installed).
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

_REPOSITORY = Path(__file__).resolve().parents[1]
_FOLDER = _REPOSITORY / "docs/pictures"
_WIDTH = 120  # columns
_DURATION = re.compile(r"\d+\.\d+ s\b")
_SVG = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" /></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


class Scene(NamedTuple):
    """A picture: the commands that are shown, in a copy of an example that is a git repository."""

    name: str
    commands: tuple[str, ...]


SCENES = (
    Scene("check", ("buildguard check",)),
    Scene("fix", ("buildguard fix", "buildguard check")),
    Scene("diff", ("git archive --output ../source.tgz HEAD", "buildguard diff commit:HEAD dir:. ../source.tgz")),
    Scene("rehearse", ("buildguard check --target 3.11 --target 3.13 --rehearse",)),
)


def main() -> None:
    """Draw every picture again."""
    _FOLDER.mkdir(exist_ok=True)
    for scene in SCENES:
        with tempfile.TemporaryDirectory() as folder:
            (_FOLDER / f"{scene.name}.svg").write_text(_draw(record(scene, Path(folder)), scene.name), "utf-8")
    _draw_page()


def record(scene: Scene, folder: Path) -> str:
    """What a terminal shows: each command behind its prompt, and what it printed, colors included. Durations are left open."""
    project = example(folder)
    return "".join(
        f"\x1b[1m$ {command}\x1b[0m\n{_DURATION.sub('… s', output)}" for command, output in _run(scene, project)
    )


def example(folder: Path) -> Path:
    """The bundled outage as a repository of its own."""
    project = folder / "outage"
    shutil.copytree(_REPOSITORY / "examples/outage", project)
    git = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "--all"), ("commit", "--quiet", "--message", "as it was deployed")):
        subprocess.run([*git, *words], cwd=project, check=True)
    return project


def _run(scene: Scene, project: Path) -> Iterator[tuple[str, str]]:
    for command in scene.commands:
        program, *words = command.split()
        # BG403 depends on the python3 of the machine that draws
        unseen = {"check": ["--color=always", "--ignore=BG403"], "diff": ["--color=always"]}.get(words[0], [])
        path = str(Path(sys.executable).with_name(program)) if program == "buildguard" else program
        env = {**os.environ, "BUILDGUARD_CACHE_DIR": str(project.parent / "cache")}
        done = subprocess.run(
            [path, *words, *unseen], cwd=project, env=env, capture_output=True, text=True, check=False
        )
        yield command, done.stdout


def _draw(text: str, name: str) -> str:
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text.from_ansi(text))
    return console.export_svg(title="buildguard", code_format=_SVG, unique_id=name)


def _draw_page() -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("page.png stays as it is: Chromium is not installed", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "page.html")
        command = [str(Path(sys.executable).with_name("buildguard")), "check", "--quiet", "--html", str(page)]
        subprocess.run(command, cwd=example(Path(folder)), capture_output=True, check=False)
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,900")
        picture = _FOLDER / "page.png"
        profile = f"--user-data-dir={folder}/profile"
        subprocess.run(
            [browser, *options, profile, f"--screenshot={picture}", page.as_uri()], capture_output=True, check=True
        )


if __name__ == "__main__":
    main()
