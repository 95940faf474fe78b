"""The page: whatever it shows is text, and a real browser shows it, in both schemes and on a phone."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from buildguard.check.result import CheckReport, TargetRow
from buildguard.cli.render import html as pages
from buildguard.diagnostic import Diagnostic, Range, Severity, Unproven
from tests import images
from tests.conftest import REPOSITORY, Project, missing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "</pre></body>",
    "\u202egnp.exe",
)
_VOID = {"meta", "link", "br", "img", "input", "hr", "line", "rect"}


class _Reader(HTMLParser):
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


def _read(file: Path) -> _Reader:
    reader = _Reader()
    reader.feed(file.read_text("utf-8"))
    assert not reader.open, "every element is closed"
    return reader


@pytest.fixture
def outage(repository: Callable[..., Project]) -> Project:
    made = repository({})
    shutil.copytree(REPOSITORY / "examples/outage", made.path, dirs_exist_ok=True)
    made.commit()
    return made


def _page(project: Project, *args: str) -> _Reader:
    result = project.run("diagnose", "--html", "page.html", *args)
    assert result.code in {0, 1, 3}, result.err
    return _read(project.path / "page.html")


def test_the_answer_comes_first(outage: Project) -> None:
    reader = _page(outage, "--log", "three-deploys.log")

    head = outage.git("rev-parse", "HEAD").strip()
    words = [
        "target-older-than-code",
        "app/orders.py, line 13, and 2 more files",
        head,
        outage.path.name,
        "To repair it",
        "Evidence",
        "Files, targets and engines",
        "Every hypothesis",
    ]
    places = [reader.text.index(word) for word in words]
    assert places == sorted(places)
    assert 'return f"order {order["id"]}' in reader.text
    assert "BG202 in line 8" in reader.text


def test_it_needs_nothing_else(outage: Project) -> None:
    reader = _page(outage, "--log", "three-deploys.log")

    assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(reader.tags)
    assert not [name for name, _value in reader.attributes if name.startswith("on") or name in {"src", "href"}]
    text = (outage.path / "page.html").read_text()
    assert "url(" not in text
    assert "@import" not in text


@pytest.mark.parametrize("words", _HOSTILE)
def test_what_is_shown_is_text(repository: Callable[..., Project], words: str) -> None:
    """In a path, a source line, a message of a log, and a file that nobody can read on a line."""
    name = words.replace("/", "_").replace("\0", "")
    made = repository(
        {
            "Dockerfile": "FROM python:3.11-slim\nCOPY . .\n",
            f"app/{name}.py": f"x = f'{{'a'}}'  # {words}\n",
            "app/long.py": f"y = f'{{'a'}}'  # {words}{'x' * 10_000_000}\n",
        }
    )
    made.write(
        {
            "log": f'Traceback (most recent call last):\n  File "/app/app/{name}.py", line 1\n    {words}\nSyntaxError: {words}\n'
        }
    )

    reader = _page(made, "--log", "log")

    assert not {"script", "img", "a"} & set(reader.tags)
    assert not [name for name, _value in reader.attributes if name.startswith("on")]
    assert "49" not in re.findall(r"\b49\b", reader.text)
    assert "\u202e" not in reader.text
    assert (made.path / "page.html").stat().st_size < 1_000_000


@pytest.mark.usefixtures("engine")
def test_every_engine_has_its_column(outage: Project) -> None:
    """A file that one Python refuses and the other accepts, one that is not in the image, and one that nobody judged."""
    here = {f"srv/app/{one.name}": one.read_bytes() for one in (outage.path / "app").glob("*.py")}
    del here["srv/app/orders.py"]
    tag = images.derived(f"{images.REPOSITORY}/paged:1", images.base("3.12"), here)

    reader = _page(outage, "--image", f"{tag}:/srv")

    cells = re.sub(r"\s+", " ", reader.text[reader.text.index("Files, targets and engines") :])
    assert f"in {tag} (container, image)" in cells
    assert re.search(r"app/notify.py✗ BG\d+ in line 5✓ accepted", cells)
    assert re.search(r"app/orders.py✗ BG\d+ in line 13not there", cells)
    assert "all files✗ 3 of 5 refused, 2 accepted✓ 4 of 4 accepted" in cells


@pytest.mark.parametrize(
    ("proof", "files", "unproven", "words"),
    [
        ("image", 3, (), "✓ accepted"),
        ("none", 3, (), "not judged"),
        ("image", 2, (), "not refused"),
        ("predicted", 3, (), "not refused"),
        ("image", 3, (Unproven("b.py", None, "no"),), "not judged"),
        ("image", 3, (Unproven(None, "3.12", "no"),), "not judged"),
    ],
)
def test_silence_is_no_acceptance(proof: str, files: int, unproven: tuple[Unproven, ...], words: str) -> None:
    refused = Diagnostic("BG101", Severity.ERROR, "b.py", Range(1, 1, 1, 2), "no", target="3.11")
    old = TargetRow("3.11", "", "interpreter", "compiled", "CPython 3.11.7", None, None, 3, 0)
    new = TargetRow("3.12", "", "interpreter", proof, "CPython 3.12.1", None, None, files, 0)
    report = CheckReport(".", (old, new), (refused,), unproven, (), 3, 0.0)

    ((path, cells),) = pages._matrix([report], [])["rows"]

    assert (path, cells[0].mark, cells[1].words) == ("b.py", "no", words)
    assert (cells[1].mark == "yes") == (words == "✓ accepted")


# ------------------------------------------------------------------------------------------ in a browser


def _chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None:
        missing("a browser", "apt-get install chromium")
    return str(found)


def _pixels(file: Path) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Width, height and every thirtieth pixel of a PNG of eight bits, RGB or RGBA."""
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
    for number in range(height):
        start = number * (width * size + 1)
        row = bytearray(raw[start + 1 : start + 1 + width * size])
        _unfilter(raw[start], row, before, size)
        rows.append(row)
        before = row
    return width, height, [tuple(row[x : x + 3]) for row in rows[::10] for x in range(0, width * size, 3 * size)]  # type: ignore[misc]


def _unfilter(kind: int, row: bytearray, before: bytearray, size: int) -> None:
    for at in range(len(row)):
        left = row[at - size] if at >= size else 0
        above = before[at]
        corner = before[at - size] if at >= size else 0
        if kind == 1:
            row[at] = (row[at] + left) & 255
        elif kind == 2:
            row[at] = (row[at] + above) & 255
        elif kind == 3:
            row[at] = (row[at] + (left + above) // 2) & 255
        elif kind == 4:
            guess = left + above - corner
            near = min((abs(guess - left), 0, left), (abs(guess - above), 1, above), (abs(guess - corner), 2, corner))
            row[at] = (row[at] + near[2]) & 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 500])
def test_a_browser_shows_it(outage: Project, tmp_path: Path, scheme: str, width: int) -> None:
    _page(outage, "--log", "three-deploys.log")
    picture = tmp_path / "page.png"
    dark = (
        ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else ["--blink-settings=preferredColorScheme=1"]
    )
    subprocess.run(
        [
            _chromium(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            *dark,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            f"--screenshot={picture}",
            (outage.path / "page.html").as_uri(),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )

    seen_width, height, pixels = _pixels(picture)

    assert (seen_width, height) == (width, 900)
    paper = max(set(pixels), key=pixels.count)
    assert (sum(paper) < 150) == (scheme == "dark"), paper
    assert len(set(pixels)) > 20, "there is something on it"
    # the verdict's red bar is at the left
    reds = [one for one in pixels if one[0] > 150 and one[1] < 160 and one[2] < 160 and one[0] > one[1] + 60]
    assert reds


def test_the_ranges_are_marked(outage: Project) -> None:
    _page(outage, "--log", "three-deploys.log")

    text = (outage.path / "page.html").read_text("utf-8")

    marked = re.findall(r"<mark>(.*?)</mark>", text)
    assert "&#34;" in "".join(marked)
    assert any("as the customer wrote it" in one for one in marked)


@pytest.mark.parametrize(
    ("place", "pieces"),
    [
        (Range(3, 2, 3, 4), (("a", False), ("bc", True), ("d", False))),
        (Range(2, 9, 3, 2), (("a", True), ("bcd", False))),
        (Range(3, 3, 4, 2), (("ab", False), ("cd", True))),
        (Range(3, 2, None, None), (("a", False), ("bcd", True))),
        (Range(3, 90, 3, 99), (("abcd", False),)),
        (Range(1, 1, 2, 3), (("abcd", False),)),
        (Range(None, None, None, None), (("abcd", False),)),
    ],
)
def test_a_line_is_cut_where_a_range_begins_and_ends(place: Range, pieces: tuple[tuple[str, bool], ...]) -> None:
    assert pages._pieces(3, "abcd", [place]) == pieces
