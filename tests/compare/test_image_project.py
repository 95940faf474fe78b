"""Where a project lies in an image: by its Dockerfile, by the best match of paths, or as somebody says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from buildguard.compare.image_project import ProjectFinder, load_project, parse
from buildguard.docker.image_stage import ImageEntry, ImageFiles
from buildguard.docker.images import Image
from buildguard.docker.sandbox import Sandbox
from buildguard.errors import UnprovenError, UsageError
from buildguard.stages.stage import EntryKind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_IMAGE = Image("acme/web", "sha256:1", "", "linux/amd64", (), "/srv", ())
_DOCKERFILE = "FROM python:3.11\nWORKDIR /app\nCOPY . .\nCOPY conf/site.py /etc/site.py\n"
_SOURCES = {"web/a.py": "x = 1\n", "web/b.py": "x = 2\n", "web/c.py": "x = 3\n", "conf/site.py": "y = 1\n"}


class _Files:
    """The files of an image that never was built."""

    def __init__(self, *paths: str) -> None:
        self._paths = paths
        self.entries: dict[bytes, ImageEntry] = {}

    def read(self, folder: str) -> str:
        inside = [path for path in self._paths if path == folder or path.startswith(folder.rstrip("/") + "/")]
        self.entries |= {path.encode(): ImageEntry(EntryKind.FILE, 1, b"", 0) for path in inside}
        return folder if inside else ""


def _finder(folder: Path, files: dict[str, str], image: _Files, root: str = "") -> ProjectFinder:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    project = load_project(folder, "")
    return ProjectFinder(project, _IMAGE, cast("Sandbox", None), cast("ImageFiles", image), root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("image:acme/web", ("acme/web", "")),
        ("image:acme/web:1.0:/srv/app/", ("acme/web:1.0", "/srv/app")),
        ("image:host:5000/web:1.0", ("host:5000/web:1.0", "")),
        ("image:web@sha256:0f:/", ("web@sha256:0f", "/")),
    ],
)
def test_a_reference_and_a_folder(text: str, expected: tuple[str, str]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["image:", "image:a b", "image:web:1.0:app"])
def test_what_names_no_image(text: str) -> None:
    with pytest.raises(UsageError, match="names no image"):
        parse(text)


def test_the_dockerfile_is_borne_out_by_the_image(tmp_path: Path) -> None:
    image = _Files(*(f"/app/{name}" for name in _SOURCES), "/etc/site.py", "/etc/passwd", "/app/.venv/pyvenv.cfg",
                   "/app/.venv/lib/x.py")  # fmt: skip
    finder = _finder(tmp_path, {**_SOURCES, "Dockerfile": _DOCKERFILE}, image)

    located = finder.located()

    assert (located.roots[0], located.reported_by) == ("/app", "Dockerfile")
    assert located.twins["/app/web/a.py"] == "web/a.py"
    own, installed = finder.places(located)
    assert own[b"web/a.py"] == b"/app/web/a.py"
    assert b"/app/.venv/lib/x.py" in installed


def test_a_file_that_is_copied_elsewhere_is_followed(tmp_path: Path) -> None:
    image = _Files(*(f"/app/{name}" for name in _SOURCES), "/etc/site.py", "/etc/passwd")
    finder = _finder(tmp_path, {**_SOURCES, "Dockerfile": _DOCKERFILE}, image, root="/app")

    assert finder.elsewhere(finder.located()) == {b"conf/site.py": b"/etc/site.py"}


def test_a_named_folder_wins_and_has_to_exist(tmp_path: Path) -> None:
    image = _Files("/opt/web/a.py", "/opt/web/b.py", "/app/web/a.py")

    located = _finder(tmp_path, _SOURCES, image, root="/opt").located()
    assert (located.roots, located.reported_by) == (("/opt",), "the command line")
    assert located.twins["/opt/web/a.py"] == "web/a.py"

    with pytest.raises(UnprovenError, match="there is no /nowhere"):
        _finder(tmp_path, _SOURCES, image, root="/nowhere").located()


def test_the_configuration_names_the_folder(tmp_path: Path) -> None:
    files = {**_SOURCES, "buildguard.toml": '[deploy]\nroot = "/opt"\n'}

    located = _finder(tmp_path, files, _Files("/opt/web/a.py")).located()

    assert (located.roots, located.reported_by) == (("/opt",), "buildguard.toml")


def test_without_a_project_the_working_folder_counts(tmp_path: Path) -> None:
    located = _finder(tmp_path, {}, _Files("/srv/main.py", "/usr/lib/python3/os.py")).located()

    assert (located.roots, located.twins) == (("/srv",), {"/srv/main.py": "main.py"})
    with pytest.raises(UnprovenError, match="cannot be told for certain"):
        _finder(tmp_path, {}, _Files("/usr/lib/python3/os.py")).located()


def test_two_dockerfiles_that_fit_alike_are_ambiguous(tmp_path: Path) -> None:
    files = {
        "a/Dockerfile": "FROM python:3.11\nCOPY . /one\n",
        "b/Dockerfile": "FROM python:3.11\nCOPY . /two\n",
        "a/x.py": "x = 1\n",
        "b/y.py": "y = 1\n",
        "buildguard.toml": (
            '[[service]]\nname = "a"\ndockerfile = "a/Dockerfile"\ncontext = "a"\n'
            '[[service]]\nname = "b"\ndockerfile = "b/Dockerfile"\ncontext = "b"\n'
        ),
    }

    with pytest.raises(UnprovenError, match=r"both fit \(--service\)"):
        _finder(tmp_path, files, _Files("/one/x.py", "/two/y.py")).located()
    assert _finder(tmp_path, files, _Files("/two/y.py")).located().roots == ("/two",)
