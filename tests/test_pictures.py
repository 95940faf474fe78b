"""The pictures of the documentation show what a run prints today."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

import pytest
from rich.text import Text

from scripts import pictures
from tests.conftest import REPOSITORY, interpreter
from tests.pages import pixels_of

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = REPOSITORY / "docs/pictures"
_VARIES = re.compile(r"\d+\.\d+\.\d+|\d+ cached,")  # patch releases


def _letters(text: str) -> str:
    """Without layout, and without what differs between machines."""
    return re.sub(r"\s", "", _VARIES.sub("", text.replace("\xa0", " ")))


def _shown(file: Path) -> str:
    lines = re.findall(r"<text[^>]*>(.*?)</text>", file.read_text("utf-8"), re.DOTALL)
    return html.unescape("".join(lines)).removeprefix("buildguard")


@pytest.mark.interpreters
@pytest.mark.parametrize("scene", pictures.SCENES, ids=lambda scene: scene.name)
def test_a_terminal_shows_what_a_run_prints(scene: pictures.Scene, tmp_path: Path) -> None:
    for version in ("3.11", "3.12", "3.13"):
        interpreter(version)

    text = Text.from_ansi(pictures.record(scene, tmp_path)).plain

    assert _letters(_shown(_FOLDER / f"{scene.name}.svg")) == _letters(text)


@pytest.mark.parametrize("file", sorted(_FOLDER.glob("*.svg")), ids=lambda file: file.name)
def test_a_picture_asks_no_other_host(file: Path) -> None:
    assert set(re.findall(r"https?://[^\"' )<]+", file.read_text("utf-8"))) == {"http://www.w3.org/2000/svg"}


def test_the_page_is_a_picture_of_a_page() -> None:
    width, height, pixels = pixels_of(_FOLDER / "page.png", lines=200)

    assert (width, height) == (1100, 900)
    assert len(set(pixels)) > 20


def test_every_picture_is_drawn_and_used() -> None:
    pages = "".join(file.read_text("utf-8") for file in (REPOSITORY / "docs").glob("*.md"))
    names = {file.name for file in _FOLDER.iterdir()}

    assert names == {"page.png", *(f"{scene.name}.svg" for scene in pictures.SCENES)}
    assert [name for name in names if f"](pictures/{name})" not in pages] == []
