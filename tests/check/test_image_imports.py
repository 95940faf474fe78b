"""The imports of a project in a built image: its own files and packages decide, and nothing of them is run."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from buildguard.check.image_imports import ImageImportFiles
from buildguard.diagnostic import UnreadableFile
from buildguard.docker.image_stage import ImageEntry, ImageFiles, ImageStage
from buildguard.docker.images import Image
from buildguard.imports.records import ModuleFacts, extract
from buildguard.project.image_reference import ImageDigest
from buildguard.stages.stage import EntryKind

_SITE = "/usr/local/lib/python3.11/site-packages"


class _Files:
    """The files of an image, from texts."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = {path.encode(): text.encode() for path, text in texts.items()}
        self.entries = {path: ImageEntry(EntryKind.FILE, len(text), b"", 0) for path, text in self._texts.items()}

    def content(self, path: bytes) -> bytes | UnreadableFile:
        """The content of a file."""
        return self._texts.get(path, UnreadableFile("missing"))


def test_a_built_image_gives_the_program_and_its_packages() -> None:
    texts = {"/srv/app/main.py": "import flask\n", f"{_SITE}/flask/__init__.py": "", f"{_SITE}/flask/app.py": "x = 1\n"}
    places = {b"app/main.py": b"/srv/app/main.py"} | {path.encode(): path.encode() for path in texts if "site" in path}
    image = Image(
        "web:1",
        "sha256:1",
        ImageDigest(""),
        "linux/amd64",
        ("PYTHONPATH=/srv/lib",),
        "/srv",
        ("gunicorn", "app.main:app"),
    )
    stage = ImageStage("image:web:1", Path(), cast("ImageFiles", _Files(texts)), places, image)
    files = ImageImportFiles(stage, image)

    def facts(path: str) -> ModuleFacts | None:
        data = files.read(path)
        return None if data is None else extract(data, (3, 11))

    packages = files.packages(facts)
    (program,) = files.programs(packages)

    assert packages.folders == (_SITE,)
    assert [start.name for start in program.starts] == ["app.main"]
    assert {"/srv", "/srv/lib", _SITE} <= {*program.path.back}
    assert program.tree.origins == {"/srv/app/main.py": "app/main.py"}
    assert program.why_unknown("/srv/app/x.py") == ""
    assert program.why_unknown("/srv/app/x/__init__.py") == ""
    assert program.why_unknown("/elsewhere/x.py")
