"""A PATH that takes the place of the base image's, and programs that the base image does not have."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.startup.replaced_path import lacking_path
from tests.startup.projects import report_of, rows_of
from tests.startup.test_parts import image_of

_FILES = {"requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n", "main.py": "app = 1\n", "bin/gunicorn": "#!/bin/sh\n"}
_HEAD = "FROM python:3.12-slim\nWORKDIR /srv\nCOPY requirements.txt .\nRUN pip install -r requirements.txt\n"
_NAME = 'CMD ["gunicorn", "-b", ":8080", "main:app"]\n'
_SCRIPT = 'CMD ["python", "main.py"]\n'


def _codes(tmp_path: Path, rest: str, head: str = _HEAD) -> list[str]:
    files = {**_FILES, "Dockerfile": f"{head}COPY main.py .\n{rest}"}
    return [row[0] for row in rows_of(report_of(tmp_path, files, executable=("bin/gunicorn",)))]


@pytest.mark.parametrize(
    "rest",
    [
        f"ENV PATH=/srv/bin\n{_NAME}",
        f"ENV PATH=/srv/bin\n{_SCRIPT}",
        "ENV PATH=/srv/bin\nCMD python main.py\n",
        "ENV PATH /srv/bin:/usr/bin:/bin\nCMD gunicorn -b :8080 main:app\n",
        f"ENV PATH=/srv/bin:/usr/sbin/\n{_NAME}",
    ],
)
def test_a_path_without_the_folder_of_python(tmp_path: Path, rest: str) -> None:
    assert _codes(tmp_path, rest) == ["BG701"]


@pytest.mark.parametrize(
    "rest",
    [
        f"ENV PATH=/srv/bin:$PATH\n{_NAME}",
        f"ENV PATH=/srv/bin:/usr/local/bin/\n{_NAME}",
        f"ENV PATH=/srv/bin\nENV PATH=$PATH:/usr/local/bin\n{_NAME}",
        'ENV PATH=/srv/bin\nCMD ["/usr/local/bin/python", "main.py"]\n',
        "ENV PATH=/srv/bin\nCMD PATH=/usr/local/bin gunicorn -b :8080 main:app\n",
        'ENV PATH=/srv/bin\nCMD ["/bin/bash", "-lc", "gunicorn -b :8080 main:app"]\n',
        f"ENV PATH=/srv/bin\nRUN mkdir /srv/bin && ln -s /usr/local/bin/gunicorn /srv/bin/gunicorn\n{_NAME}",
        f"ENV PATH=/usr/bin\nRUN ln -s /usr/local/bin/gunicorn /usr/bin/\n{_NAME}",
        f"ENV PATH=/srv/bin\nCOPY bin/ bin/\n{_NAME}",
        f"ENV PATH=bin\n{_NAME}",
        f"RUN python -m venv /v && /v/bin/pip install gunicorn\nENV PATH=/v/bin\n{_NAME}",
        f"RUN pipx install gunicorn\nENV PATH=/root/.local/bin\n{_NAME}",
    ],
)
def test_a_path_that_may_have_it(tmp_path: Path, rest: str) -> None:
    assert _codes(tmp_path, rest) == []


@pytest.mark.parametrize(
    ("head", "is_lacking"),
    [
        ("FROM python:3.12-alpine\n", True),
        ("FROM python:3.12\n", False),  # that has Debian's Python too
        ("FROM acme/python:3.12\n", False),
        ("FROM debian:12\n", False),
    ],
)
def test_the_images_whose_python_has_one_folder(head: str, *, is_lacking: bool) -> None:
    image = image_of(f'{head}ENV PATH=/usr/bin\nCOPY . /srv\nENTRYPOINT ["python", "main.py"]\n', {"main.py": ""})

    assert image.start is not None
    assert lacking_path(image, image.start, "python") == ("/usr/bin" if is_lacking else "")


@pytest.mark.parametrize("path", ["", "/usr/bin/"])
@pytest.mark.parametrize("words", ['dumb-init", "--', 'tini", "--', 'gosu", "app', 'su-exec", "app'])
def test_an_init_program_that_nothing_installs(tmp_path: Path, path: str, words: str) -> None:
    name, start = words.split('"', maxsplit=1)[0], f'ENTRYPOINT ["{path}{words}"]\n{_NAME}'

    assert _codes(tmp_path / "none", start) == ["BG701"]
    assert _codes(tmp_path / "plain", start, "FROM python:3.12\nWORKDIR /srv\n")[0] == "BG701"
    assert _codes(tmp_path / "apt", f"RUN apt-get install -y {name}\n{start}") == []
    assert _codes(tmp_path / "copy", f"COPY --from=acme/{name} /{name} /usr/bin/\n{start}") == []
    assert _codes(tmp_path / "unknown", f"COPY --from=acme/tools /usr/bin /usr/bin\n{start}") == []
    assert _codes(tmp_path / "base", start, "FROM acme/python:3.12\n") == []


def test_an_init_program_that_a_package_may_bring(tmp_path: Path) -> None:
    start = f'ENTRYPOINT ["dumb-init", "--"]\n{_NAME}'
    files = {**_FILES, "Dockerfile": f"{_HEAD}COPY main.py .\n{start}"}
    for number, name in enumerate(["dumb-init==1.2.5", "unknown-package"]):
        brought = {"requirements.txt": f"gunicorn\n{name}\n"}
        assert rows_of(report_of(tmp_path / str(number), {**files, **brought})) == []


@pytest.mark.interpreters
def test_a_real_shell_and_a_real_exec_look_into_path_alone(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path)}

    done = subprocess.run(["/bin/sh", "-c", "python3 -V"], env=environment, capture_output=True, check=False)
    assert done.returncode == 127
    with pytest.raises(FileNotFoundError):
        subprocess.run(["python3", "-V"], env=environment, check=False)
