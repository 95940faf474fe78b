"""What pip is to install in a RUN is there by then: a COPY above it, and not below or beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.project.config import Config
from buildguard.project.image_stage_state import StageState
from buildguard.project.run_needs import unmet_needs
from buildguard.stages.filesystem import FolderStage
from buildguard.startup.run import check_startup
from tests.startup.projects import report_of, rows_of

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\n"
_START = 'CMD ["gunicorn", "-b", ":8080", "main:app"]\n'
_INSTALL = "RUN pip install --no-cache-dir -r requirements.txt\n"


def _found(tmp_path: Path, steps: str, **files: str) -> list[tuple[str, str | None, int | None]]:
    texts = {"Dockerfile": f"{_HEAD}{steps}{_START}", **files}
    return [row for row in rows_of(report_of(tmp_path, texts)) if row[0] == "BG704"]


@pytest.mark.parametrize(
    ("steps", "line"),
    [
        (f"{_INSTALL}COPY . .\n", 3),
        (f"COPY main.py .\n{_INSTALL}COPY requirements.txt .\n", 4),
        (f"COPY requirements.txt /tmp/\n{_INSTALL}COPY . .\n", 4),
        (f"RUN cd /tmp && true\n{_INSTALL}COPY . .\n", 4),  # the next RUN begins in the working folder again
        ("RUN uv pip install --system -r ./requirements.txt\nCOPY . .\n", 3),
        (f"RUN poetry export -o other.txt\n{_HEAD}COPY --from=0 /srv .\n{_INSTALL}COPY . .\n", 7),
        ("RUN python -m pip install --requirement=requirements.txt && rm -rf /root/.cache\nCOPY . .\n", 3),
    ],
)
def test_what_no_copy_brings_in_time(tmp_path: Path, steps: str, line: int) -> None:
    assert _found(tmp_path, steps) == [("BG704", "Dockerfile", line)]


@pytest.mark.parametrize(
    "steps",
    [
        f"COPY . .\n{_INSTALL}",
        f"COPY requirements.txt .\n{_INSTALL}COPY . .\n",
        f"COPY require*.txt ./\n{_INSTALL}COPY . .\n",
        "COPY requirements.txt /tmp/\nRUN pip install -r /tmp/requirements.txt\nCOPY . .\n",
        "RUN --mount=type=bind,source=requirements.txt,target=requirements.txt pip install -r requirements.txt\nCOPY . .\n",
        "RUN pip freeze > requirements.txt && pip install -r requirements.txt\nCOPY . .\n",
        f"RUN poetry export -o requirements.txt\n{_INSTALL}COPY . .\n",
        f"RUN poetry export -o requirements.txt\n{_HEAD}COPY --from=0 /srv/requirements.txt .\n{_INSTALL}COPY . .\n",
        f"RUN uv export --output-file=requirements.txt\n{_HEAD}COPY --from=0 /srv .\n{_INSTALL}COPY . .\n",
        f"RUN uv pip compile in.txt -o /r/requirements.txt\n{_HEAD}COPY --from=0 /r/ ./\n{_INSTALL}COPY . .\n",
        "COPY requirements.txt /deps/\nRUN sh -c 'cd /deps ; pip install -r requirements.txt'\nCOPY . .\n",
        "COPY requirements.txt /deps/\nRUN cd /deps && pip install -r requirements.txt\nCOPY . .\n",
        f"ARG FOLDER\nCOPY requirements.txt $FOLDER/\n{_INSTALL}COPY . .\n",
        f"ARG FOLDER\nWORKDIR $FOLDER\n{_INSTALL}COPY . .\n",
        "RUN pip install flask gunicorn\nCOPY . .\n",
        "RUN pip install -r $FILE\nCOPY . .\n",
    ],
)
def test_what_is_there_or_may_be_made(tmp_path: Path, steps: str) -> None:
    assert _found(tmp_path, steps) == []


def test_a_stage_that_the_build_leaves_out_needs_nothing(tmp_path: Path) -> None:
    other = f"FROM python:3.11-slim AS unused\n{_INSTALL}"
    builder = f"FROM python:3.11-slim AS builder\n{_INSTALL}"
    copy = f"{_HEAD}COPY . .\n{_INSTALL}"

    unused = rows_of(report_of(tmp_path / "a", {"Dockerfile": f"{other}{copy}{_START}"}))
    used = rows_of(report_of(tmp_path / "b", {"Dockerfile": f"{builder}{copy}COPY --from=builder /x /x\n{_START}"}))

    assert "BG704" not in [row[0] for row in unused]
    assert ("BG704", "Dockerfile", 2) in used


def test_a_base_image_of_unknown_content_may_have_it(tmp_path: Path) -> None:
    steps = f"{_INSTALL}COPY . .\n{_START}"

    assert "BG704" not in [row[0] for row in rows_of(report_of(tmp_path, {"Dockerfile": f"FROM acme/python\n{steps}"}))]


def test_an_ignore_rule_is_the_place(tmp_path: Path) -> None:
    rows = _found(tmp_path, f"COPY . .\n{_INSTALL}", **{".dockerignore": "*.md\n*.txt\n"})

    assert rows == [("BG704", ".dockerignore", 2)]


def test_only_pip_reads_them() -> None:
    text = "apt-get -r x.txt && pip install -rdev.txt -r 'base.txt' && pip3 download --requirement more.txt"
    state = StageState()

    assert [need.text for need in unmet_needs(text, state, 1, "")] == ["dev.txt", "base.txt", "more.txt"]
    state.run_text = "cp x dev.txt"
    assert [need.text for need in unmet_needs(text, state, 1, "")] == ["base.txt", "more.txt"]


_COPIED = "COPY main.py .\n"
_TOML = {"pyproject.toml": '[project]\nname = "svc"\nversion = "1"\n'}


def _errors(tmp_path: Path, steps: str, **files: str) -> list[tuple[int | None, str, str]]:
    """Line, severity and message of each BG704 for a project that has main.py and some files, and no requirements.txt."""
    for name, text in {"Dockerfile": f"{_HEAD}{steps}CMD python main.py\n", "main.py": "import os\n", **files}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    report = check_startup(FolderStage(tmp_path), None, Config())
    return [(row.range.line, row.severity, row.message) for row in report.diagnostics if row.code == "BG704"]


@pytest.mark.parametrize(
    ("steps", "files", "needs"),
    [
        (_INSTALL, {}, "pip needs requirements.txt, and no COPY brings it to /srv/requirements.txt"),
        (
            _INSTALL,
            {".gitignore": "require*\n"},
            "pip needs requirements.txt, and git ignores it (.gitignore:1: require*)",
        ),
        (f"RUN set -ex; {_INSTALL[4:-1]}; rm -rf /tmp/x\n", {}, "pip needs requirements.txt, and no COPY brings it"),
        (
            "RUN pip install --no-cache-dir .\n",
            {},
            "pip needs pyproject.toml or setup.py, and no COPY brings one to /srv",
        ),
        ("RUN python -m pip install -e '.[dev]'\n", {}, "pip needs pyproject.toml or setup.py"),
        ("RUN pip install poetry && poetry install --no-root\n", {}, "poetry needs pyproject.toml"),
        ("RUN pip install uv && uv sync --frozen --no-dev\n", {}, "uv needs uv.lock, and no COPY"),
        ("RUN chmod +x entrypoint.sh\n", {}, "chmod needs entrypoint.sh, and no COPY brings it to /srv/entrypoint.sh"),
        ("RUN chmod 755 /srv/bin/go.sh && ls\n", {}, "chmod needs go.sh, and no COPY brings it to /srv/bin/go.sh"),
        (
            "RUN pip install .\n",
            {"setup.py": ""},
            "setup.py is needed, and no COPY before line 4 brings it to /srv/setup.py",
        ),
        ("RUN uv sync --locked\n", {"uv.lock": ""}, "uv.lock is needed, and no COPY before line 4"),
    ],
)
def test_what_the_project_lacks_ends_the_build(tmp_path: Path, steps: str, files: dict[str, str], needs: str) -> None:
    ((line, severity, message),) = _errors(tmp_path, f"{_COPIED}{steps}", **files)

    assert (line, severity) == (4, "error")
    assert message.startswith(needs)


@pytest.mark.parametrize(
    ("steps", "files"),
    [
        (f"{_INSTALL[:-1]} || true\n", {}),
        (f"{_INSTALL[:-1]}; true\n", {}),
        (f"{_INSTALL[:-1]} | tee log\n", {}),
        ("RUN if [ -f requirements.txt ]; then pip install -r requirements.txt; fi\n", {}),
        ("RUN test -f entrypoint.sh && chmod +x entrypoint.sh\n", {}),
        ("RUN (pip install .)\n", {}),
        ("RUN pip install -t . flask\n", {}),
        ("RUN pip install ./wheels\n", {}),
        ("RUN poetry init -n && poetry install\n", {}),
        ("RUN poetry install -C app\n", {}),
        ("RUN uv lock && uv sync --frozen\n", _TOML),
        ("RUN uv sync\n", _TOML),
        ("COPY pyproject.toml uv.lock /\nRUN uv sync --frozen\n", {**_TOML, "uv.lock": ""}),
        ("RUN chmod +x *.sh\n", {}),
        ("COPY requirements.txt /tmp\nRUN pip install -r /tmp/requirements.txt\n", {"requirements.txt": ""}),
        ("COPY requirements.txt /usr/src\nRUN pip install -r /usr/src/requirements.txt\n", {"requirements.txt": ""}),
        ("RUN chmod 755 logs\n", {}),
        ("RUN chmod +x /usr/local/bin/docker-entrypoint.sh\n", {}),
        ("RUN curl -O https://example.com/entrypoint.sh && chmod +x entrypoint.sh\n", {}),
        (f"RUN git clone https://example.com/a.git . && {_INSTALL[4:]}", {}),
        (f"RUN ./prepare\n{_INSTALL}", {}),
        (f"RUN --mount=type=bind,source=.,target=. {_INSTALL[4:]}", {}),
        (f"COPY requirements.txt .\n{_INSTALL}", {}),  # that COPY is the cause
        (f"COPY deps .\n{_INSTALL}", {}),
        ("RUN chmod +x entrypoint.sh\n", {"Makefile": "build:\n\tcp start entrypoint.sh\n"}),
    ],
)
def test_a_build_that_may_go_on(tmp_path: Path, steps: str, files: dict[str, str]) -> None:
    rows = _errors(tmp_path, f"{_COPIED}{steps}", **files)

    assert [row for row in rows if row[1] == "error"] == []


def test_a_missing_start_script_is_one_finding(tmp_path: Path) -> None:
    steps = 'COPY main.py .\nRUN chmod +x /srv/go.sh\nENTRYPOINT ["/srv/go.sh"]\n'

    assert _errors(tmp_path, steps) == []  # BG701


def test_a_hint_names_the_file_of_the_context(tmp_path: Path) -> None:
    steps = "RUN mkdir /wheels\nRUN pip install -r /wheels/../requirements.txt\nCOPY . .\n"
    report = report_of(tmp_path, {"Dockerfile": f"{_HEAD}{steps}{_START}"})

    (hint,) = (row.hint for row in report.diagnostics if row.code == "BG704")
    assert hint == "put it above: COPY requirements.txt /requirements.txt"
