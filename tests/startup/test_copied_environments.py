"""An environment that one stage makes: what another stage's Python, and PATH, can do with it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.project.image_build import BuildInput, build_model
from buildguard.startup.copied_environments import add_programs
from tests.conftest import interpreter
from tests.startup.projects import report_of, rows_of

_VENV = "RUN python -m venv /opt/venv\nCOPY requirements.txt .\nRUN /opt/venv/bin/pip install -r requirements.txt\n"
_UV = "WORKDIR /app\nCOPY uv.lock pyproject.toml ./\nRUN uv sync --frozen\n"
_GET_UV = "COPY --from=ghcr.io/astral-sh/uv:0.4 /uv /bin/\n"
_POETRY = "COPY pyproject.toml .\nRUN poetry install --no-root\n"
_PREFIX = "COPY requirements.txt .\nRUN pip install --prefix=/install -r requirements.txt\n"
_USER = "COPY requirements.txt .\nRUN pip install --user -r requirements.txt\n"
_PACKAGES = "/usr/local/lib/python3.12/site-packages"
_ON_PATH = "ENV VIRTUAL_ENV=/opt/venv\nENV PATH=$VIRTUAL_ENV/bin:$PATH\n"
_FILES = {
    "requirements.txt": "flask==3.0.3\ngunicorn==22.0.0\n",
    "main.py": "app = 1\n",
    "uv.lock": "",
    "pyproject.toml": "",
}


def _rows(
    tmp_path: Path, builder: str, final: str, base: str = "python:3.11-slim"
) -> list[tuple[str, str | None, int]]:
    start = 'WORKDIR /srv\nCOPY main.py .\nCMD ["gunicorn", "-b", ":8080", "main:app"]\n'
    text = f"FROM python:3.12-slim AS builder\n{builder}FROM {base}\n{final}{start}"
    rows = rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES}))
    return [(code, path, (line or 0) - text[: text.index(f"FROM {base}\n")].count("\n")) for code, path, line in rows]


@pytest.mark.parametrize(
    ("builder", "final"),
    [
        (_VENV, f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"),
        (_VENV, f"COPY --from=0 /opt /opt/\n{_ON_PATH}"),
        (_UV, "COPY --from=builder /app /app\nENV PATH=/app/.venv/bin:$PATH\n"),
        (f"ENV UV_PROJECT_ENVIRONMENT=/venv\n{_UV}", "COPY --from=builder /venv /venv\nENV PATH=/venv/bin:$PATH\n"),
        (_PREFIX, "COPY --from=builder /install /usr/local\n"),
        (_USER, "COPY --from=builder /root/.local /root/.local\nENV PATH=/root/.local/bin:$PATH\n"),
        (_PREFIX.replace("--prefix=/install ", ""), f"COPY --from=builder {_PACKAGES} {_PACKAGES}\n"),
    ],
)
def test_packages_of_another_python(tmp_path: Path, builder: str, final: str) -> None:
    assert [row for row in _rows(tmp_path, builder, final) if row[0] == "BG401"] == [("BG401", "Dockerfile", 2)]
    assert not [row for row in _rows(tmp_path / "same", builder, final, "python:3.12") if row[0] == "BG401"]


@pytest.mark.parametrize(
    ("builder", "final"),
    [
        (_VENV, "COPY --from=builder /opt/venv /opt/venv\nRUN pip install gunicorn\n"),  # what runs is installed here
        (_VENV, f"COPY --from=builder /usr/local /usr/local\nCOPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"),
        (_PREFIX, f"COPY --from=builder {_PACKAGES} /usr/local/lib/python3.11/site-packages\nRUN true\n"),
        (_PREFIX.replace("--prefix=/install ", ""), f"COPY --from=builder {_PACKAGES} /site\nENV PYTHONPATH=/site\n"),
        ("RUN make docs\n", "COPY --from=builder /docs /docs\n"),
        (f"RUN uv python install 3.11\n{_VENV}", f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"),
    ],
)
def test_what_another_python_does_no_harm_to(tmp_path: Path, builder: str, final: str) -> None:
    assert "BG401" not in [row[0] for row in _rows(tmp_path, builder, final)]


def test_what_a_stage_installs_for_those_built_on_it(tmp_path: Path) -> None:
    stages = (
        "FROM python:3.12-slim AS base\nWORKDIR /srv\nONBUILD COPY requirements.txt .\n{}FROM base\nCOPY main.py .\n"
    )
    start = 'CMD ["gunicorn", "-b", ":8080", "main:app"]\n'
    text = stages.format("ONBUILD RUN pip install -r requirements.txt\n") + start

    assert rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES})) == []
    rows = rows_of(report_of(tmp_path / "none", {"Dockerfile": stages.format("") + start, **_FILES}))
    assert rows == [("BG701", "Dockerfile", 6)]


def test_a_base_image_may_bring_the_packages(tmp_path: Path) -> None:
    final = f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}"

    assert "BG401" not in [row[0] for row in _rows(tmp_path, _VENV, final, "acme/python:3.11")]
    distroless = _rows(tmp_path / "plain", _VENV, final, "gcr.io/distroless/python3-debian12")
    assert ("BG401", "Dockerfile", 2) in distroless


@pytest.mark.parametrize(
    ("builder", "final", "is_found"),
    [
        (_VENV, "COPY --from=builder /opt/venv /opt/venv\n", False),
        (_VENV, f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}", True),
        (_UV, "COPY --from=builder /app /app\n", False),
        (_UV, 'COPY --from=builder /app /app\nENV PATH="/app/.venv/bin:$PATH"\n', True),
        (_UV, "WORKDIR /app\nCOPY --from=builder /app/.venv .venv\nENV PATH=/app/.venv/bin:$PATH\n", True),
        (_VENV, "ENV HOME_OF=/opt/venv\nCOPY --from=builder $HOME_OF ${HOME_OF}\nENV PATH=$HOME_OF/bin:$PATH\n", True),
        (_VENV, "ENV HOME_OF=/opt/venv\nCOPY --from=builder $HOME_OF ${HOME_OF}\n", False),
        (_USER, "COPY --from=builder /root/.local /root/.local\n", False),
        (_USER, "COPY --from=builder /root/.local /root/.local\nENV PATH=/root/.local:$PATH\n", False),
        (_USER, "COPY --from=builder /root/.local/bin /root/.local\nENV PATH=/root/.local:$PATH\n", True),
        (_VENV, "COPY --from=ghcr.io/astral-sh/uv /uv /bin/\nCOPY --from=builder /opt/venv /opt/venv\n", False),
        (_VENV, "COPY --from=acme/tools /tools /tools\nCOPY --from=builder /opt/venv /opt/venv\n", True),
        (_VENV, "ARG V\nCOPY --from=builder /opt/venv /opt/venv\nENV PATH=$V/bin:$PATH\n", True),
        (_VENV, "RUN useradd app\nCOPY --from=builder /opt/venv /opt/venv\n", False),
        ("", f"{_GET_UV}{_UV}", False),
        ("", f"{_GET_UV}{_UV}ENV PATH=/app/.venv/bin:$PATH\n", True),
        ("", f"RUN pip install uv && useradd app\n{_UV}", False),
        ("", f"RUN pip install uv gunicorn\n{_UV}", True),
        ("", f"{_GET_UV}{_UV}RUN ln -s /app/.venv/bin/gunicorn /usr/bin\n", True),
        ("", f"{_GET_UV}ENV UV_PROJECT_ENVIRONMENT=/usr/local\n{_UV}", True),
        ("", f"RUN pip install poetry && poetry config virtualenvs.create false\nWORKDIR /app\n{_POETRY}", True),
        ("", f"RUN pip install poetry && poetry config virtualenvs.in-project true\nWORKDIR /app\n{_POETRY}", False),
        ("", f"RUN pip install poetry\nWORKDIR /app\n{_POETRY}", False),
        ("", f"WORKDIR /app\n{_USER}", False),
        ("", f"{_VENV}RUN pip install gunicorn\n", True),
        ("", f"{_GET_UV}{_UV}RUN echo '. /app/.venv/bin/activate' >> /root/.bashrc\n", True),
        (_PREFIX, "COPY --from=builder /install /usr/local\n", True),
        (_VENV, f"COPY --from=builder {_PACKAGES} {_PACKAGES}\n", False),
        (
            _VENV,
            f"COPY --from=builder {_PACKAGES} {_PACKAGES}\nCOPY --from=builder /usr/local/bin /usr/local/bin\n",
            True,
        ),
        (_PREFIX, "COPY --from=builder /usr/local/bin /usr/local/bin\n", True),
        (_VENV, "COPY --from=builder /opt/venv /opt/venv\nRUN ln -s /opt/venv/bin/gunicorn /usr/bin\n", True),
    ],
)
def test_a_program_of_an_environment_is_found_on_path(
    tmp_path: Path, builder: str, final: str, *, is_found: bool
) -> None:
    rows = _rows(tmp_path, builder, final, "python:3.12-slim")

    assert [row[0] for row in rows] == ([] if is_found else ["BG701"])


_ELSEWHERE = "COPY --from=builder /opt/venv /venv\nENV PATH=/venv/bin:$PATH\n"
_SYNC = "COPY requirements.txt .\nRUN uv sync\n"


@pytest.mark.parametrize(
    ("builder", "final", "is_lost"),
    [
        (_VENV, _ELSEWHERE, True),
        (_VENV, f"{_ELSEWHERE}RUN useradd app\n", True),
        (_UV, "COPY --from=builder /app/.venv /venv\nENV PATH=/venv/bin:$PATH\n", True),
        (f"WORKDIR /b\n{_SYNC}", "COPY --from=builder /b /app\nENV PATH=/app/.venv/bin:$PATH\n", True),
        (f"{_VENV}RUN mv /opt/venv /v\n", "COPY --from=builder /v /v\nENV PATH=/v/bin:$PATH\n", True),
        (_VENV, f"COPY --from=builder /opt/venv /opt/venv\n{_ON_PATH}", False),
        (_VENV, f"{_ELSEWHERE}COPY --from=builder /opt/venv /opt/venv\n", False),
        (_VENV, f"{_ELSEWHERE}RUN ln -s /venv /opt/venv\n", False),
        (_VENV, f"{_ELSEWHERE}RUN sed -i 1s,/opt/venv,/venv, /venv/bin/gunicorn\n", False),
        (f"{_VENV}RUN sed -i 1s,/opt/venv,/venv, /opt/venv/bin/*\n", _ELSEWHERE, False),
        (f"{_VENV}RUN cd /opt/venv && find bin -type f | xargs perl -pi -e s,/opt,,\n", _ELSEWHERE, False),
        (f"{_VENV}RUN <<EOF\ncd /opt/venv/bin\nsed -i 1s,/opt,, *\nEOF\n", _ELSEWHERE, False),
        (f"{_VENV}WORKDIR /opt/venv/bin\nRUN sed -i 1s,/opt,, *\n", _ELSEWHERE, False),
        (f"{_VENV}RUN sed -i s/deb/http/ /etc/apt/sources.list\n", _ELSEWHERE, True),
        (_VENV, f"{_ELSEWHERE}RUN pip install gunicorn\nENV PATH=/usr/local/bin:$PATH\n", False),
        (f"WORKDIR /b\nRUN uv venv --relocatable\n{_SYNC}", "COPY --from=builder /b/.venv /v\nENV PATH=/v/bin:$PATH\n", False),
        (_PREFIX, "COPY --from=builder /install /p\nENV PATH=/p/bin:$PATH\n", False),
        (_USER, "COPY --from=builder /root/.local /l\nENV PATH=/l/bin:$PATH\n", False),
    ],
)  # fmt: skip
def test_an_environment_in_another_folder(tmp_path: Path, builder: str, final: str, *, is_lost: bool) -> None:
    rows = _rows(tmp_path, builder, final, "python:3.12-slim")

    assert [row[0] for row in rows] == (["BG702"] if is_lost else [])


def test_a_program_of_an_environment_by_its_path(tmp_path: Path) -> None:
    stages = f"FROM python:3.12-slim AS builder\n{_VENV}FROM python:3.12-slim\nCOPY --from=builder /opt/venv /v\nCOPY main.py .\n"
    for program, codes in (("/v/bin/gunicorn", ["BG702"]), ("/v/bin/python", [])):
        start = (
            f'CMD ["{program}", "-m", "main"]\n' if codes == [] else f'CMD ["{program}", "-b", ":8080", "main:app"]\n'
        )
        report = report_of(tmp_path, {"Dockerfile": f"{stages}{start}", **_FILES})
        assert [row[0] for row in rows_of(report)] == codes


def test_the_way_to_the_programs() -> None:
    assert add_programs("/v").startswith("ENV PATH=/v/bin:$PATH")
    assert add_programs(_PACKAGES).endswith("to /usr/local/bin")


@pytest.mark.parametrize(
    ("start", "script"),
    [
        ("CMD . /opt/venv/bin/activate && exec gunicorn -b :8080 main:app\n", ""),
        ('CMD ["sh", "-c", "source /opt/venv/bin/activate; gunicorn -b :8080 main:app"]\n', ""),
        ('CMD ["sh", "start.sh"]\n', "#!/bin/sh\n. /opt/venv/bin/activate\nexec gunicorn -b :8080 main:app\n"),
        ('ENTRYPOINT ["sh", "start.sh"]\n', "#!/bin/sh\nexport PATH=/opt/venv/bin:$PATH\nexec gunicorn -b :8080 main:app\n"),
        ("CMD PATH=/opt/venv/bin:$PATH gunicorn -b :8080 main:app\n", ""),
    ],
)  # fmt: skip
def test_a_command_that_looks_into_the_environment_itself(tmp_path: Path, start: str, script: str) -> None:
    text = (
        f"FROM python:3.12-slim AS builder\n{_VENV}FROM python:3.12-slim\nWORKDIR /srv\n"
        f"COPY --from=builder /opt/venv /opt/venv\nCOPY . .\n{start}"
    )

    assert rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES, "start.sh": script or "true\n"})) == []


_STAGES = "FROM python:3.12-slim AS builder\n{}FROM python:3.11-slim AS middle\n{}FROM python:3.11-slim\n{}"
_COPIED = "COPY --from=builder /opt/venv /opt/venv\n"


@pytest.mark.parametrize(
    ("builder", "middle", "final", "path"),
    [
        (_VENV, _COPIED, "COPY --from=middle /opt/venv /opt/venv\n", "/opt/venv"),
        (_VENV, f"{_COPIED}RUN mv /opt/venv /srv/env\n", "COPY --from=middle /srv /srv\n", "/srv/env"),
        (_VENV, f"{_COPIED}RUN cp -r /opt/venv/ /e\n", "WORKDIR /x\nCOPY --from=1 /e e\n", "/x/e"),
        (f"ARG V=/v/env\n{_VENV.replace('/opt/venv', '$V')}", "", "COPY --from=builder /v /v\n", "/v/env"),
        ("WORKDIR /srv\nWORKDIR app\nRUN uv sync\n", "", "COPY --from=0 /srv/app app\n", "/app/.venv"),
        ("RUN cd /srv/app && uv sync\n", "", "COPY --from=builder /srv/ /srv/\n", "/srv/app/.venv"),
        ("RUN UV_PROJECT_ENVIRONMENT=/env uv sync\n", "", "COPY --from=builder /env /env\n", "/env"),
        ("WORKDIR /a\nRUN uv sync --project b\n", "", "COPY --from=builder /a /a\n", "/a/b/.venv"),
        ("USER app\nRUN pip install --user x\n", "", "COPY --from=0 /home/app/.local /l\n", "/l"),
        (f"{_GET_UV}WORKDIR /a\nRUN uv sync\n", "", "COPY --from=builder /a/.venv* /a/.venv/\n", "/a/.venv"),
        (_VENV, "", "COPY --link --chown=1000 --from=builder /opt/venv /opt/venv\n", "/opt/venv"),
        (f"{_VENV}RUN apt-get install -y python3-dev\n", "", _COPIED, "/opt/venv"),
    ],
)
def test_an_environment_goes_where_copies_take_it(
    tmp_path: Path, builder: str, middle: str, final: str, path: str
) -> None:
    text = _STAGES.format(builder, middle, final)
    model = build_model(BuildInput(text.encode(), ["main.py", "requirements.txt"]))
    brought = [found for found in model.environments if found.taken]
    assert [(found.path, str(found.python), found.base_line) for found in brought] == [(path, "3.12", 1)]

    start = 'COPY main.py .\nCMD ["gunicorn", "main:app"]\n'
    rows = rows_of(report_of(tmp_path, {"Dockerfile": f"{text}{start}", **_FILES}))
    assert ("BG401", "Dockerfile", text.count("\n")) in rows


@pytest.mark.parametrize(
    ("builder", "middle", "final"),
    [
        (f"{_VENV}RUN rm -rf /opt/venv && mkdir /opt/venv\n", "", _COPIED),
        ("ENV UV_PROJECT_ENVIRONMENT=/usr/local\nRUN uv sync\n", "", "COPY --from=builder /usr/local /usr/local\n"),
        (_VENV.replace("/opt/venv", "$V"), "", "COPY --from=builder /opt /opt\n"),
        (_VENV, "RUN python -m venv /opt/venv\n", "COPY --from=middle /opt/venv /opt/venv\n"),
        (_VENV, _COPIED, "COPY --from=middle /opt/other /opt/venv\n"),
        ("RUN pip install x\n", "", "COPY --from=builder /usr/local/lib/python3.10/site-packages /p\n"),
    ],
)
def test_what_is_no_environment_of_another_python(tmp_path: Path, builder: str, middle: str, final: str) -> None:
    text = f'{_STAGES.format(builder, middle, final)}COPY main.py .\nCMD ["python", "main.py"]\n'

    assert "BG401" not in [row[0] for row in rows_of(report_of(tmp_path, {"Dockerfile": text, **_FILES}))]


def test_the_folders_that_a_stage_fills() -> None:
    text = (
        "FROM python:3.12\nWORKDIR /a\nRUN python3 -m venv --copies env && virtualenv -p python3 /b\nWORKDIR c\nRUN uv venv\n"
        "ENV UV_PROJECT_ENVIRONMENT=/d\nRUN uv sync --frozen\nRUN pip install --user x\n"
    )
    model = build_model(BuildInput(text.encode(), []))

    assert {found.path for found in model.environments} == {"/a/env", "/b", "/a/c/.venv", "/d", "/root/.local"}
    assert {found.line for found in model.environments} == {3, 5, 7, 8}
    assert not any(found.taken for found in model.environments)


@pytest.mark.interpreters
def test_a_real_python_finds_nothing_in_an_environment_of_another(tmp_path: Path) -> None:
    """The folder stays, and the link in it leads to the Python of the image: as `COPY --from` leaves it."""
    made, image = interpreter("3.12"), interpreter("3.11")
    subprocess.run([made, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (tmp_path / "venv/lib/python3.12/site-packages/needed.py").write_text("")
    python = tmp_path / "venv/bin/python"
    assert subprocess.run([python, "-c", "import needed"], check=False).returncode == 0

    python.unlink()
    python.symlink_to(image)

    done = subprocess.run([python, "-c", "import needed"], check=False, capture_output=True)
    assert b"No module named 'needed'" in done.stderr


@pytest.mark.interpreters
def test_a_real_program_names_the_python_of_its_environment(tmp_path: Path) -> None:
    """What pip writes for a console script; `uv` and poetry write the same."""
    subprocess.run([interpreter("3.12"), "-m", "venv", tmp_path / "venv"], check=True)
    program = tmp_path / "venv/bin/pip"
    assert program.read_text().startswith(f"#!{tmp_path}/venv/bin/python")

    (tmp_path / "venv").rename(tmp_path / "moved")

    with pytest.raises(FileNotFoundError):
        subprocess.run([tmp_path / "moved/bin/pip", "--version"], check=False)
