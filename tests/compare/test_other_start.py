"""What an image's own configuration says of its start, against its Dockerfile."""

from __future__ import annotations

import pytest

from buildguard.compare.other_start import find_other_start
from buildguard.docker.images import Image
from buildguard.project.image_build import BuildInput, build_model

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\n"
_MAIN = ("python", "-m", "app.main")


def _found(dockerfile: str, folder: str, command: tuple[str, ...]) -> str:
    model = build_model(BuildInput(dockerfile.encode(), ("app/main.py",), ""))
    return find_other_start(_image(folder, command), model, "Dockerfile")


def _image(folder: str, command: tuple[str, ...]) -> Image:
    return Image("web", "sha256:" + "0" * 64, "", "linux/amd64", (), folder, command)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dockerfile", "folder", "command"),
    [
        (f'{_HEAD}CMD ["python", "-m", "app.main"]\n', "/srv", _MAIN),
        (f'{_HEAD}ENTRYPOINT ["python"]\nCMD ["-m", "app.main"]\n', "/srv/", _MAIN),
        (f"{_HEAD}CMD exec python \\\n    -m app.main\n", "/srv", ("/bin/sh", "-c", "exec python  -m app.main")),
        ('FROM python:3.11-slim\nCOPY . .\nCMD ["python", "-m", "app.main"]\n', "/", _MAIN),
        (_HEAD, "/srv", ("python3",)),  # the base image decides
        ('FROM registry.example/base\nCOPY . .\nCMD ["app.main"]\n', "/app", ("/tini", "app.main")),
        (f'ARG DIR\n{_HEAD}WORKDIR $DIR\nCMD ["python", "-m", "app.main"]\n', "/other", _MAIN),
    ],
)
def test_it_starts_as_it_is_declared(dockerfile: str, folder: str, command: tuple[str, ...]) -> None:
    assert _found(dockerfile, folder, command) == ""


@pytest.mark.parametrize(
    ("folder", "command", "words"),
    [
        ("/other", _MAIN, "web starts in /other, and Dockerfile says /srv"),
        ("/srv", ("python", "/evil.py"), "web starts `python /evil.py`, and Dockerfile says `python -m app.main`"),
        ("/srv", ("/evil", *_MAIN), "web starts `/evil python -m app.main`, and Dockerfile says `python -m app.main`"),
        ("/srv", (), "web has no command, and Dockerfile says `python -m app.main`"),
        ("/srv", ("x" * 300,), f"web starts `{'x' * 200}…`, and Dockerfile says `python -m app.main`"),
    ],
)
def test_it_starts_otherwise(folder: str, command: tuple[str, ...], words: str) -> None:
    assert _found(f'{_HEAD}CMD ["python", "-m", "app.main"]\n', folder, command) == words


def test_a_folder_that_the_dockerfile_names_is_known_whatever_the_base_is() -> None:
    dockerfile = 'FROM registry.example/base\nWORKDIR /srv\nCOPY . .\nCMD ["python", "-m", "app.main"]\n'

    assert _found(dockerfile, "/srv", _MAIN) == ""
    assert _found(dockerfile, "/other", _MAIN) == "web starts in /other, and Dockerfile says /srv"
