"""Where a project is in an image: by its Dockerfile, by the best match of paths, or as a person says."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from buildguard.compare.image_project import ProjectFinder, load_project, parse
from buildguard.compare.installed_project import find_installed, is_version_stamp
from buildguard.docker.image_stage import ImageEntry, ImageFiles
from buildguard.docker.images import Image
from buildguard.docker.sandbox import Sandbox
from buildguard.errors import UnprovenError, UsageError
from buildguard.project.image_reference import ImageDigest
from buildguard.stages.stage import EntryKind

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.interpreters

_IMAGE = Image("acme/web", "sha256:1", ImageDigest(""), "linux/amd64", (), "/srv", ())
_DOCKERFILE = "FROM python:3.11\nWORKDIR /app\nCOPY . .\nCOPY conf/site.py /etc/site.py\n"
_SOURCES = {"web/a.py": "x = 1\n", "web/b.py": "x = 2\n", "web/c.py": "x = 3\n", "conf/site.py": "y = 1\n"}


class _Files:
    """The files of an image that never was built."""

    def __init__(self, *paths: str, contents: dict[str, str] | None = None) -> None:
        self._contents = contents or {}
        self._paths = (*paths, *self._contents)
        self.entries: dict[bytes, ImageEntry] = {}

    def read(self, folder: str, *, is_named: bool = False) -> str:
        inside = [path for path in self._paths if path == folder or path.startswith(folder.rstrip("/") + "/")]
        self.entries |= {path.encode(): ImageEntry(EntryKind.FILE, 1, b"", 0) for path in inside}
        return folder if inside else ""

    def content(self, path: bytes) -> bytes:
        return self._contents.get(path.decode(), "").encode()


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
    with pytest.raises(UnprovenError, match="is unknown"):
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


_SITE = "/usr/local/lib/python3.11/site-packages"
_INFO = f"{_SITE}/shop-1.0.dist-info"
_RECORD = "shop/__init__.py,sha256=x,1\nshop/main.py,sha256=x,1\nshop-1.0.dist-info/METADATA,,\n../../bin/shop,,\n"
_SHOP = {
    "pyproject.toml": '[project]\nname = "Shop"\n',
    "src/shop/__init__.py": "",
    "src/shop/main.py": "x = 1\n",
    "build/lib/shop/main.py": "x = 0\n",
}


def _installed(record: str = _RECORD, **more: str) -> _Files:
    files = {f"{_SITE}/shop/__init__.py": "", f"{_SITE}/shop/main.py": "x = 1\n", f"{_INFO}/RECORD": record}
    return _Files(f"{_SITE}/requests/api.py", contents={**files, **more})


def test_a_project_that_is_installed_as_a_wheel(tmp_path: Path) -> None:
    finder = _finder(tmp_path, _SHOP, _installed(), root=_SITE)

    located = finder.located()
    own, installed = finder.places(located)

    assert (located.roots, located.reported_by) == ((f"{_SITE}/shop",), "shop-1.0.dist-info")
    assert own == {
        b"src/shop/__init__.py": f"{_SITE}/shop/__init__.py".encode(),
        b"src/shop/main.py": f"{_SITE}/shop/main.py".encode(),
    }
    assert not installed
    assert located.uninstalled == ()


def test_a_source_that_the_wheel_lacks(tmp_path: Path) -> None:
    located = _finder(tmp_path, {**_SHOP, "src/shop/new.py": ""}, _installed(), root=_SITE).located()

    assert located.uninstalled == ("src/shop/new.py",)


def test_an_editable_install_leads_to_its_folder(tmp_path: Path) -> None:
    direct = '{"url": "file:///work", "dir_info": {"editable": true}}'
    image = _installed("x.pth,,\n", **{f"{_INFO}/direct_url.json": direct, "/work/src/shop/main.py": "x = 1\n"})

    located = _finder(tmp_path, _SHOP, image, root=_SITE).located()

    assert (located.roots, dict(located.twins)) == (("/work",), {"/work/src/shop/main.py": "src/shop/main.py"})


@pytest.mark.parametrize(
    ("record", "sources", "twins"),
    [
        ("acme/shop/a.py,,\n", ["src/acme/shop/a.py"], {"/s/acme/shop/a.py": "src/acme/shop/a.py"}),  # a namespace
        ("shop.py,,\n", ["shop.py", "tests/shop.py"], {"/s/shop.py": "shop.py"}),
        ("shop/a.py,,\n", ["one/shop/a.py", "two/shop/a.py"], None),
        ("other/a.py,,\n", ["src/shop/a.py"], None),
        ('../evil/a.py,,\n/abs/a.py,,\n"\n', ["evil/a.py", "abs/a.py"], None),
        ("", ["a.py"], None),
    ],
)
def test_sources_of_installed_files(record: str, sources: list[str], twins: dict[str, str] | None) -> None:
    paths = ["/s/my_shop-2.0.dist-info/RECORD", "/s/other-1.dist-info/RECORD"]

    found = find_installed(paths, lambda _path: record.encode(), sources, ["My.Shop"])

    assert (None if found is None else found.twins) == twins
    assert find_installed(paths, lambda _path: record.encode(), sources, ["nothing"]) is None


def test_what_the_dockerfile_copies_has_to_be_there(tmp_path: Path) -> None:
    files = {
        **_SOURCES,
        "web/new.py": "",
        "web/gone.py": "",
        "web/dropped.py": "",
        ".dockerignore": "web/dropped.py\n",
        "Dockerfile": f"{_DOCKERFILE}RUN find /app -name 'gone.py' -delete\n",
    }
    image = _Files(*(f"/app/{name}" for name in _SOURCES), "/etc/site.py")
    finder = _finder(tmp_path, files, image)

    assert [(source, file.path, file.line) for source, file in finder.missing(finder.located())] == [
        ("web/new.py", "/app/web/new.py", 3)
    ]


@pytest.mark.parametrize(
    ("path", "before", "after", "expected"),
    [
        ("shop/main.py", b"x = 1\n", b"x = 2\n", False),
        ("shop/__init__.py", b'__version__ = "0"\nx = 1\n', b'__version__ = "1.2"\nx = 1\n', True),
        ("shop/__init__.py", b'__version__ = "0"\nx = 1\n', b'__version__ = "1.2"\nx = 2\n', False),
        ("shop/__init__.py", b"x = 1\n", b'x = 1\n__version__ = "1.2"\n', False),
        ("shop/_version.py", b"def get_versions(): pass\n", b"version = 1\n", True),
    ],
)
def test_a_build_backend_may_set_the_version(path: str, before: bytes, after: bytes, expected: bool) -> None:
    assert is_version_stamp(path, before, after) is expected
