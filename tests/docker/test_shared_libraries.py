"""The libraries that compiled modules need: read of their headers, and looked up as a loader does."""

from __future__ import annotations

import struct
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from buildguard.check.image_imports import ImageImportFiles
from buildguard.check.image_libraries import LoadedModuleFile, loaded_modules
from buildguard.docker.elf import ElfLibraries, loader_of, read_libraries
from buildguard.docker.native_modules import ElfReader
from buildguard.docker.shared_libraries import LibraryFinder, loader_folders, loader_settings
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram
from buildguard.imports.resolver import SearchPath
from buildguard.imports.site_packages import InstalledSource
from tests import images
from tests.conftest import Project


def made_module(*needed: str, runpath: str = "", wide: bool = True, order: str = "<", interp: str = "") -> bytes:
    """A shared library that needs some others."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in (*needed, "libself.so", runpath, interp))

    def at(name: str) -> int:
        return names.index(name.encode() + b"\0")

    word = "Q" if wide else "I"
    header, segment = (64, 56) if wide else (52, 32)
    table = header + 3 * segment
    dynamic = table + len(names)
    rows = [(1, at(name)) for name in needed] + [(5, 0x1000 + table), (14, at("libself.so"))]
    rows += [(29, at(runpath))] if runpath else []
    entries = b"".join(struct.pack(f"{order}{word}{word}", *row) for row in [*rows, (0, 0)])

    def program(kind: int, offset: int, address: int, size: int) -> bytes:
        if wide:
            return struct.pack(f"{order}IIQQQQQQ", kind, 4, offset, address, address, size, size, 8)
        return struct.pack(f"{order}IIIIIIII", kind, offset, address, address, size, size, 4, 4)

    whole = dynamic + len(entries)
    programs = program(1, 0, 0x1000, whole) + program(2, dynamic, 0x1000 + dynamic, len(entries))
    programs += program(3, table + at(interp), 0, len(interp)) if interp else program(0, 0, 0, 0)
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    fields = (3, 62, 1, 0, header, 0, 0, header, segment, 3, 0, 0, 0)
    return ident + struct.pack(f"{order}HHI{word * 3}IHHHHHH", *fields) + programs + names + entries


def test_a_real_module() -> None:
    module = next(Path(sysconfig.get_path("platlib")).rglob("*.so"))

    libraries = read_libraries(module.read_bytes())

    assert libraries is not None
    assert any(name.startswith("libc.so") for name in libraries.needed)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
def test_headers_of_every_class(wide: bool, order: str) -> None:
    data = made_module(
        "libpq.so.5", "libc.so.6", runpath="$ORIGIN/libs:/opt/x", wide=wide, order=order, interp="/lib/ld.so"
    )

    assert read_libraries(data) == ElfLibraries(
        ("libpq.so.5", "libc.so.6"), "libself.so", ("$ORIGIN/libs", "/opt/x"), is_runpath=True
    )
    assert loader_of(data) == "/lib/ld.so"
    reader = ElfReader()
    for start in range(0, len(data), 7):
        reader.feed(data[start : start + 7])
    assert reader.libraries == read_libraries(data)


@pytest.mark.parametrize(
    "data", [b"", b"import os\n", b"\x7fELF", b"\x7fELF" + bytes(16), made_module("libpq.so.5")[:-40]]
)
def test_what_is_damaged_is_unknown(data: bytes) -> None:
    assert read_libraries(data) is None
    assert loader_of(data) == ""


def test_libraries_are_looked_up_as_a_loader_does() -> None:
    there = {"/usr/lib/x86_64-linux-gnu/libpq.so.5", "/site/a/libs/libown.so", "/opt/x/libx.so", "/abs/liby.so"}
    folders = loader_folders(
        "linux/amd64", "/opt/x", {"/etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n# /no\n/opt/conf\n"}
    )
    finder = LibraryFinder(there.__contains__, folders, {"libtorch.so"})

    def missing(*needed: str, folders: tuple[str, ...] = ()) -> list[str]:
        return finder.missing("/site/a/m.so", ElfLibraries(needed, "", folders))

    assert folders[:2] == ["/opt/x", "/opt/conf"]
    assert "/etc/ld-musl-x86_64.path" in list(loader_settings("linux/amd64"))
    assert missing("libpq.so.5", "libx.so", "/abs/liby.so", "libtorch.so") == []
    assert missing("libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0", "libcuda.so.1") == []
    assert missing("libown.so", folders=("$ORIGIN/libs",)) == []
    assert missing("libGL.so.1", "libown.so") == ["libGL.so.1", "libown.so"]
    assert loader_folders("linux/unheard", "", {})[0] == "/lib"


class _Files(ImageImportFiles):
    """An image of some texts whose start is `/srv/main.py`."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts

    def read(self, path: str) -> bytes | None:
        return self._texts[path].encode() if path in self._texts else None

    def packages(self, facts: Callable[[str], object]) -> InstalledSource:
        return InstalledSource("image", ["/site"], self._texts, self.read, lambda _file: None)

    def programs(self, packages: InstalledSource) -> list[StartedProgram]:
        tree = FileTree({path: path[5:] for path in self._texts if path.startswith("/srv/")})
        start = LoadedModule("__main__", ModuleLocation(ModuleKind.MODULE, "/srv/main.py"), home="")
        return [StartedProgram(tree, SearchPath(("/srv",), ()), (start,))]


def test_modules_that_a_start_surely_loads() -> None:
    texts = {
        "/srv/main.py": "import os\nimport own\nfrom pil import Image\nimport cv2\ntry:\n    import guarded\nexcept ImportError:\n    pass\ndef f():\n    import late\n",
        "/srv/own.py": "\nfrom psy import connect\n",
        "/site/psy/__init__.py": "from psy._psy import connect\nfrom . import other\n",
        "/site/psy/_psy.cpython-311-x86_64-linux-gnu.so": "",
        "/site/psy/other.py": "",
        "/site/pil/__init__.py": "",
        "/site/pil/Image.py": "from . import _imaging\n",
        "/site/pil/_imaging.abi3.so": "",
        "/site/cv2/__init__.py": "bootstrap()\n",
        "/site/cv2/cv2.abi3.so": "",
        "/site/guarded.abi3.so": "",
        "/site/late.abi3.so": "",
    }

    assert sorted(loaded_modules(_Files(texts))) == [
        LoadedModuleFile("/site/cv2/cv2", "cv2", "main.py", 4),
        LoadedModuleFile("/site/pil/_imaging", "_imaging", "main.py", 3),
        LoadedModuleFile("/site/psy/_psy", "psy._psy", "own.py", 2),
    ]


def test_a_library_that_an_image_lacks(engine: str, project: Callable[..., Project]) -> None:
    assert engine
    base = images.base("3.11")
    site = "usr/local/lib/python3.11/site-packages"
    reference = images.derived(
        f"{images.REPOSITORY}/libraries:3.11",
        base,
        {
            "srv/main.py": "import json\nimport psy\n",
            f"{site}/psy/__init__.py": "from psy import _psy\n",
            f"{site}/psy/_psy.abi3.so": made_module("libpq.so.5", "libc.so.6"),
            f"{site}/unused.abi3.so": made_module("libGL.so.1"),
        },
        ["WORKDIR /srv", 'CMD ["python3", "main.py"]'],
    )
    sources = {
        "Dockerfile": f"FROM {base}\nWORKDIR /srv\nCOPY main.py .\nCMD python3 main.py\n",
        "main.py": "import json\nimport psy\n",
    }

    answer = project(sources).run("check", f"image:{reference}:/srv", "--format", "json").json

    rows = [(row["code"], row["path"], row["line"]) for row in answer["diagnostics"] if row["code"] == "BG603"]
    misfits = {row["path"].rpartition("/")[2]: row["reason"] for row in answer["image"]["misfits"]}
    assert rows == [("BG603", "main.py", 2)]
    assert "libpq.so.5" in misfits["_psy.abi3.so"]
    assert "libGL.so.1" in misfits["unused.abi3.so"]
