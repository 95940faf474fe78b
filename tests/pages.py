"""HTML pages as a browser makes of them: elements and text, and a picture of a headless Chromium."""

from __future__ import annotations

import shutil
import struct
import subprocess
import zlib
from html.parser import HTMLParser
from pathlib import Path

from tests.conftest import missing

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7717 * 7 }}{% raw %}",
    "</pre></body>",
    "\u202egnp.exe",
)
_VOID = {"meta", "link", "br", "img", "input", "hr", "line", "rect"}


class PageReader(HTMLParser):
    """What a browser would make of it: elements, their attributes, and the text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read_page(file: Path) -> PageReader:
    reader = PageReader()
    reader.feed(file.read_text("utf-8"))
    assert not reader.open, "every element is closed"
    return reader


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        missing("a browser", "apt-get install chromium")
    return str(found)


def pixels_of(file: Path, lines: int = 1 << 16) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Width, height and every thirtieth pixel of the first lines of a PNG of eight bits, RGB or RGBA."""
    data = file.read_bytes()
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    assert (depth, colour in {2, 6}) == (8, True)
    size = 3 if colour == 2 else 4
    at, packed = 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    raw = zlib.decompress(packed)
    rows: list[bytearray] = []
    before = bytearray(width * size)
    for number in range(min(height, lines)):
        start = number * (width * size + 1)
        row = bytearray(raw[start + 1 : start + 1 + width * size])
        _unfilter(raw[start], row, before, size)
        rows.append(row)
        before = row
    return width, height, [tuple(row[x : x + 3]) for row in rows[::10] for x in range(0, width * size, 3 * size)]  # type: ignore[misc]


def _unfilter(kind: int, row: bytearray, before: bytearray, size: int) -> None:
    if kind == 2:
        row[:] = bytes((one + above) & 255 for one, above in zip(row, before, strict=True))
    for at in range(len(row)) if kind in {1, 3, 4} else ():
        left = row[at - size] if at >= size else 0
        above = before[at]
        corner = before[at - size] if at >= size else 0
        if kind == 1:
            row[at] = (row[at] + left) & 255
        elif kind == 3:
            row[at] = (row[at] + (left + above) // 2) & 255
        elif kind == 4:
            guess = left + above - corner
            near = min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))
            row[at] = (row[at] + near[2]) & 255


def screenshot(page: Path, folder: Path, width: int, scheme: str) -> Path:
    """The first 900 lines of a page in a light or dark browser window."""
    picture = folder / "page.png"
    dark = 0 if scheme == "dark" else 1
    subprocess.run(
        [
            _chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            f"--blink-settings=preferredColorScheme={dark}",
            f"--user-data-dir={folder / 'profile'}",
            f"--window-size={width},900",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        capture_output=True,
        timeout=300,
        check=True,
    )
    return picture
