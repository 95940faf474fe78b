"""What buildpacks make of a folder: the files of the image, and the command by their rules."""

from __future__ import annotations

import pytest

from buildguard.project.buildpack_model import build_buildpack_model, buildpack_command
from buildguard.project.buildpacks import BuildpackService
from buildguard.project.target import Certainty, ContextBasis, PythonVersion

_BASIS = ContextBasis(Certainty.DECLARED, "cloudbuild.yaml:3")


def _words(
    files: dict[str, str], minor: int = 13, env: tuple[tuple[str, str], ...] = (), basis: ContextBasis = _BASIS
) -> str:
    service = BuildpackService("svc", "svc", basis, env)
    contents = {f"svc/{name}": text.encode() for name, text in files.items()}
    start = buildpack_command(service, contents.get, files.keys(), PythonVersion(minor))
    return start.problem if start.command is None else " ".join(start.command.words)


@pytest.mark.parametrize(
    ("files", "minor", "words"),
    [
        ({"main.py": ""}, 12, "gunicorn -b :8080 main:app"),
        ({"main.py": "", "requirements.txt": "uvicorn\n"}, 12, "gunicorn -b :8080 main:app"),
        ({"app.py": "", "requirements.txt": "uvicorn==1\n"}, 13, "uvicorn app:app --port 8080 --host 0.0.0.0"),
        ({"main.py": "", "requirements.txt": "fastapi[standard]\n"}, 14, "uvicorn main:app --port 8080 --host 0.0.0.0"),
        (
            {"main.py": "", "pyproject.toml": "[project]\ndependencies = ['uvicorn>=1']\n"},
            13,
            "uvicorn main:app --port 8080 --host 0.0.0.0",
        ),
        ({"x.py": "", "uv.lock": "", "pyproject.toml": "[project.scripts]\nserve = 'x:y'\n"}, 13, "uv run serve"),
        (
            {"x.py": "", "poetry.lock": "", "pyproject.toml": "[tool.poetry.scripts]\nserve = 'x:y'\n"},
            13,
            "poetry run serve",
        ),
        ({"x.py": "", "pyproject.toml": "[project.scripts]\na = 'x:y'\nb = 'x:z'\n"}, 13, ""),
        ({"main.py": "", "Procfile": "web: python main.py\n"}, 13, "/bin/bash -c python main.py"),
        ({"main.py": "", "Procfile": "worker: x\n"}, 13, "Procfile has no `web:` process, so the build fails"),
        ({"x.py": "", "requirements.txt": "google-adk\n"}, 13, ""),
        ({"index.html": ""}, 13, ""),
        ({"main.py": "", "app.yaml": "entrypoint: python x.py\n"}, 13, "gunicorn -b :8080 main:app"),
    ],
)
def test_the_start_command(files: dict[str, str], minor: int, words: str) -> None:
    assert _words(files, minor) == words


def test_what_comes_before_the_files() -> None:
    files = {"main.py": "", "Procfile": "web: python main.py\n", "app.yaml": "entrypoint: python x.py\n"}
    without = {name: text for name, text in files.items() if name != "Procfile"}
    engine = ContextBasis(Certainty.DECLARED, "svc/app.yaml:1")

    assert _words(files, env=(("GOOGLE_ENTRYPOINT", "python y.py"),)) == "/bin/bash -c python y.py"
    assert _words(without, env=(("GAE_APPLICATION_YAML_PATH", "app.yaml"),)) == "/bin/bash -c python x.py"
    assert _words(without, basis=engine) == "/bin/bash -c python x.py"
    assert _words({"main.py": ""}, env=(("GOOGLE_FUNCTION_TARGET", "f"),)) == "functions-framework --target=f"
    assert _words({"main.py": ""}, env=(("GOOGLE_FUNCTION_TARGET", "a-b"),)) == ""
    descriptor = '[[build.env]]\nname = "GOOGLE_ENTRYPOINT"\nvalue = "python z.py"\n'
    assert _words({**files, "project.toml": descriptor}) == "/bin/bash -c python z.py"
    assert "no start command" in _words({"x.py": ""})


def test_the_files() -> None:
    model = build_buildpack_model("svc", ["svc/main.py", "svc/run.sh", "other.py"], {"svc/run.sh": 0o755})

    assert model.twins == {"/workspace/main.py": "svc/main.py", "/workspace/run.sh": "svc/run.sh"}
    assert (model.workdir, model.files["/workspace/run.sh"].mode) == ("/workspace", 0o755)
    assert model.why_unknown("/workspace/none.py") == ""
    assert model.why_unknown("/layers/x") == "the buildpack installs packages there"
