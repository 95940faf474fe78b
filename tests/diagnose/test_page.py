"""The page: whatever it shows is text, and a real browser shows it, in both schemes and on a phone."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from buildguard.check.result import CheckReport, TargetRow
from buildguard.cli.render.html_matrix import matrix
from buildguard.cli.render.html_page import mark_ranges
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven
from tests import images
from tests.conftest import REPOSITORY, Project, sample
from tests.pages import HOSTILE, PageReader, pixels_of, read_page, screenshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def outage(repository: Callable[..., Project]) -> Project:
    made = repository({})
    shutil.copytree(REPOSITORY / "examples/outage", made.path, dirs_exist_ok=True)
    made.commit()
    return made


def _page(project: Project, *args: str) -> PageReader:
    result = project.run("diagnose", "--html", "page.html", *args)
    assert result.code in {0, 1, 3}, result.err
    return read_page(project.path / "page.html")


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


@pytest.mark.parametrize("hostile", [HOSTILE[:1], HOSTILE[1:]], ids=["a line of megabytes", "all others"])
def test_what_is_shown_is_text(repository: Callable[..., Project], hostile: tuple[str, ...]) -> None:
    """In a path, a source line, a message of a log, and a file that no one can read on a line."""
    names = {words: f"app/{words.replace('/', '_')}.py" for words in hostile}
    length = 10_000_000 if len(hostile) == 1 else 100_000
    made = repository(
        {
            "Dockerfile": "FROM python:3.11-slim\nCOPY . .\n",
            **{name: f"x = f'{{'a'}}'  # {words}\n" for words, name in names.items()},
            **{
                f"app/long{number}.py": f"y = f'{{'a'}}'  # {words}{'x' * length}\n"
                for number, words in enumerate(hostile)
            },
        }
    )
    told = (
        f'Traceback (most recent call last):\n  File "/app/{name}", line 1\n    {words}\nSyntaxError: {words}\n'
        for words, name in names.items()
    )
    made.write({"log": "".join(told)})

    reader = _page(made, "--log", "log")

    assert not {"script", "img", "a"} & set(reader.tags)
    assert not [name for name, _value in reader.attributes if name.startswith("on")]
    assert str(7717 * 7) not in reader.text
    assert "\u202e" not in reader.text
    assert (made.path / "page.html").stat().st_size < 1_000_000


@pytest.mark.usefixtures("engine")
def test_every_engine_has_its_column(outage: Project) -> None:
    """A file that one Python refuses and the other accepts, one that is not in the image, and one that no one judged."""
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
        ("image", 3, (Unproven(DisplayPath("b.py"), None, "no"),), "not judged"),
        ("image", 3, (Unproven(None, "3.12", "no"),), "not judged"),
    ],
)
def test_silence_is_no_acceptance(proof: str, files: int, unproven: tuple[Unproven, ...], words: str) -> None:
    refused = Diagnostic(Code.BG101, Severity.ERROR, DisplayPath("b.py"), Range(1, 1, 1, 2), "no", target="3.11")
    old = TargetRow("3.11", "", "interpreter", "compiled", "CPython 3.11.7", None, None, 3, 0)
    new = TargetRow("3.12", "", "interpreter", proof, "CPython 3.12.1", None, None, files, 0)
    report = CheckReport(".", (old, new), (refused,), unproven, (), 3, 0.0)

    ((path, cells),) = matrix([report], [])["rows"]

    assert (path, cells[0].mark, cells[1].words) == ("b.py", "no", words)
    assert (cells[1].mark == "yes") == (words == "✓ accepted")


# ------------------------------------------------------------------------------------------ in a browser


@pytest.mark.parametrize(
    ("width", "scheme"), sample([(1200, "light"), (500, "light"), (1200, "dark"), (500, "dark")], 3)
)
def test_a_browser_shows_it(outage: Project, tmp_path: Path, scheme: str, width: int) -> None:
    _page(outage, "--log", "three-deploys.log")
    picture = screenshot(outage.path / "page.html", tmp_path, width, scheme)

    seen_width, height, pixels = pixels_of(picture)

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
    assert mark_ranges(3, "abcd", [place]) == pieces
