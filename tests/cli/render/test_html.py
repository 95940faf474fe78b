"""Pages of `check` and `diff`: whole, without a script, and shown by a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.check.rehearsal import rehearse
from buildguard.check.result import CheckReport, TargetRow
from buildguard.cli.render.html_check import page as check_page
from buildguard.cli.render.html_diff import page as diff_page
from buildguard.cli.render.html_page import draw
from buildguard.compare.causes import CauseKind
from buildguard.compare.diff import DiffResult
from buildguard.compare.difference import ChangeKind, Difference
from buildguard.compare.upload_risks import UploadPlan, UploadRisk
from buildguard.diagnostic import DisplayPath, RelativePath, Severity, Unproven
from tests.cli.render.records import ROW, chain, finding, report
from tests.conftest import REPOSITORY, Project, sample
from tests.pages import HOSTILE, PageReader, pixels_of, read_page, screenshot

_EDIT = Difference(
    RelativePath(b"a.py"), ChangeKind.CHANGED, CauseKind.LINE_ENDINGS, "LF became CRLF in 3 lines\n+first\n+second"
)


def _reader(text: str) -> PageReader:
    reader = PageReader()
    reader.feed(text)
    assert not reader.open
    return reader


def _assert_in_order(text: str, words: list[str]) -> None:
    at = 0
    for word in words:
        assert word in text[at:], word
        at = text.index(word, at) + len(word)


def _whole() -> CheckReport:
    return report(
        *(
            finding(),
            finding("b.py", "BG105", severity=Severity.WARNING, message="invalid escape"),
            finding(None, "BG403", severity=Severity.WARNING, message="works here, breaks there"),
        ),
        unproven=(Unproven(DisplayPath("c.py"), "3.11", "not readable"),),
        notes=("a note",),
        chain=chain(_EDIT),
    )


def test_a_page_of_check_shows_everything_the_answer_first() -> None:
    reader = _reader(check_page(_whole(), "dir:."))

    words = [
        "1 error, 2 warnings, 1 unproven in 9 files",
        "Python 3.11 (Dockerfile:1): 9 files, compiled by CPython 3.11.9",
        "Unproven",
        "c.py: not readable (Python 3.11)",
        "Chain of custody",
        "1 differ",
        "commit:HEAD",
        "LF became CRLF",
        "1 rejected",
        "Files",
        "a.py",
        "BG105",
        "the project",
        "Findings",
        "3:5",
        "invalid syntax (Python 3.11)",
        "x = f(1",
        "hint: fix the syntax",
        "Notes",
        "a note",
    ]
    _assert_in_order(reader.text, words)
    assert "<mark>f(1</mark>" in check_page(_whole(), "dir:.")


def test_files_outside_the_window_are_drawn_when_they_come_into_it() -> None:
    page = check_page(_whole(), "dir:.")

    assert page.count("<section>") == page.count("<h3>") == 3
    assert "section { content-visibility: auto;" in page


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (ROW, "all compile"),
        (ROW._replace(proof="predicted", interpreter="ruff 0.12"), "predicted"),
        (ROW._replace(proof="none", interpreter=None), "not seen"),
    ],
)
def test_the_last_hop_is_the_compiler(row: TargetRow, words: str) -> None:
    text = check_page(report()._replace(targets=(row,)), "commit:HEAD")

    assert words in _reader(text).text
    assert ('class="same"' in text) is (words == "all compile")


def test_a_file_that_compiles_and_fails_later_is_no_success() -> None:
    imports = finding("a.py", "BG601")
    text = check_page(report(imports, finding("b.py", "BG601", severity=Severity.WARNING)), "dir:.")

    assert "1 with errors" in _reader(text).text
    assert 'class="same"' not in text
    assert "all compile" in check_page(report(imports._replace(target="3.12")), "dir:.")


def test_a_rehearsal_is_a_table() -> None:
    both = report(finding("a.py", "BG601"), finding("b.py"))
    both = both._replace(targets=(ROW, ROW._replace(python="3.12", interpreter="CPython 3.12.1")))
    reader = _reader(check_page(both._replace(rehearsal=rehearse(both)), "dir:."))

    _assert_in_order(reader.text, ["Rehearsal", "3.11", "3.12", "works from", "a.py", "BG601", "ok", "3.12", "b.py"])
    assert "7 files without errors on any of them: from 3.11" in reader.text
    assert "Rehearsal" not in _reader(check_page(both, "dir:.")).text


def test_several_targets_have_a_table() -> None:
    both = report(finding())._replace(targets=(ROW, ROW._replace(python="3.12", interpreter="CPython 3.12.1")))

    assert "Files, targets and engines" in _reader(check_page(both, "dir:.")).text
    assert "Files, targets and engines" not in _reader(check_page(report(finding()), "dir:.")).text


def test_every_finding_is_on_the_page() -> None:
    many = report(*(finding(f"m{number:03}.py") for number in range(500)))

    assert check_page(many, "dir:.").count("invalid syntax") == 500


def test_a_page_of_diff_shows_everything_the_answer_first() -> None:
    asked_for = Difference(
        RelativePath(b"b.sh"), ChangeKind.CHANGED, finding=False, explained="text=auto", evidence="as asked"
    )
    undecided = Difference(RelativePath(b"c.py"), ChangeKind.REMOVED, finding=False, undecided="a RUN may remove it")
    plan = UploadPlan((b"a.py",), (), (UploadRisk("untracked", b"new.py", "not in the commit"),))
    result = DiffResult(chain(_EDIT, asked_for, undecided, notes=("permissions",)), plan)
    reader = _reader(diff_page(result))

    words = [
        "first changed at hop commit:HEAD → dir:.: a.py (line-endings)",
        "2 stages, 1 hop",
        "Chain of custody",
        "1 differ",
        "3 differences, 1 finding",
        "BG303 changed",
        "LF became CRLF in 3 lines",
        "+first\n+second",
        "changed, expected",
        "removed, undecided",
        "permissions",
        "Stages",
        "sha256:",
        "a build would upload 1 file",
        "new.py: not in the commit",
    ]
    _assert_in_order(reader.text, words)


@pytest.mark.parametrize("words", HOSTILE)
def test_whatever_is_shown_is_text(words: str) -> None:
    hostile = finding(words, message=words)._replace(excerpt=words, hint=words, evidence=words)
    difference = _EDIT._replace(path=RelativePath(words.encode()), evidence=f"{words}\n{words}")
    pages = (
        check_page(report(hostile, unproven=(Unproven(DisplayPath(words), None, words),), notes=(words,)), words),
        diff_page(DiffResult(chain(difference, notes=(words,)))),
    )

    for text in pages:
        reader = _reader(text)
        assert not {"script", "link", "img", "iframe", "object", "a", "form"} & set(reader.tags)
        assert not [name for name, _value in reader.attributes if name.startswith("on") or name in {"src", "href"}]
        assert str(7717 * 7) not in reader.text
        assert "\u202e" not in text
        assert "url(" not in text
        assert "@import" not in text


def test_a_long_line_is_a_window() -> None:
    text = check_page(report(finding()._replace(excerpt="a" * 4_000_000)), "dir:.")

    assert len(text) < 50_000


def test_names_are_cut_to_their_box() -> None:
    drawing = draw([("x" * 90, "y" * 90), ("a", "b")], [("identical", "same")])

    assert all(len(word) <= 27 for box in drawing.boxes for word in box[1:])


@pytest.fixture
def pages(repository: Callable[..., Project]) -> Project:
    made = repository({})
    shutil.copytree(REPOSITORY / "examples/outage", made.path, dirs_exist_ok=True)
    made.commit()
    made.write({"app/orders.py": (made.path / "app/orders.py").read_bytes().replace(b"\n", b"\r\n")})
    return made


def test_the_commands_write_pages(pages: Project) -> None:
    assert pages.run("check", "--html", "check.html", "--format", "json").json["exit_code"] == 1
    assert pages.run("diff", "commit:HEAD", "dir:.", "--html", "diff.html").code == 1

    assert "6 errors" in read_page(pages.path / "check.html").text
    assert "line-endings" in read_page(pages.path / "diff.html").text


@pytest.mark.interpreters
@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    sample([("check", 1200, "light"), ("diff", 1200, "light"), ("check", 390, "dark"), ("diff", 390, "dark")], 3),
)
def test_a_browser_shows_a_page(tmp_path: Path, name: str, width: int, scheme: str) -> None:
    file = tmp_path / "page.html"
    file.write_text(check_page(_whole(), "dir:.") if name == "check" else diff_page(DiffResult(chain(_EDIT))), "utf-8")

    seen_width, height, pixels = pixels_of(screenshot(file, tmp_path, width, scheme))

    assert (seen_width, height) == (width, 900)
    paper = max(set(pixels), key=pixels.count)
    assert (sum(paper) < 150) == (scheme == "dark"), paper
    assert any(red > 150 and red > green + 60 and red > blue + 60 for red, green, blue in pixels)
