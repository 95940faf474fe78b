"""The program of an image: its files, its search path, its start modules."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from buildguard.diagnostic import RelativePath
from buildguard.imports.finder import FileTree
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.package_roots import package_roots
from buildguard.imports.program import StartedProgram, home_of, is_test, last_word, words_of_imports
from buildguard.imports.records import extract
from buildguard.project.discovery import ImageRecipe
from buildguard.project.target import Certainty, ContextBasis, ImageService
from buildguard.stages.stage import Entry, EntryKind

_RUN = "import uvicorn\nuvicorn.run('app.main:app')\n"


def _program(files: Mapping[str, str], entry: tuple[str, ...] = ()) -> StartedProgram:
    entries = [Entry(RelativePath(name.encode()), EntryKind.FILE) for name in files]
    sources = ProjectSources(entries, lambda path: files[path].encode() if path in files else None)
    recipes = []
    if "Dockerfile" in files:
        service = ImageService("root", "Dockerfile", "", ContextBasis(Certainty.GUESSED, "Dockerfile"))
        recipes = [ImageRecipe(service, files["Dockerfile"].encode())]
    (program,) = read_programs(sources, recipes, entry)
    return program


def _names(program: StartedProgram) -> list[str]:
    return [start.name for start in program.starts]


def test_a_server_takes_the_working_folder_after_the_standard_library() -> None:
    text = 'FROM python:3.11\nWORKDIR /srv\nENV PYTHONPATH=/srv/lib\nCOPY . .\nCMD ["gunicorn", "app.main:app"]\n'
    program = _program({"Dockerfile": text, "app/__init__.py": "", "app/main.py": ""})

    assert _names(program) == ["app", "app.main"]
    assert program.path.front == ()
    assert {"/srv", "/srv/lib"} <= {*program.path.back}
    assert program.tree.origins["/srv/app/main.py"] == "app/main.py"


def test_a_script_has_its_own_folder_first() -> None:
    text = 'FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD ["python", "app/run.py"]\n'
    program = _program({"Dockerfile": text, "app/run.py": ""})

    assert _names(program) == ["__main__"]
    assert program.path.front == ("/srv/app",)


def test_what_a_server_and_a_script_load_beside_it_is_started_too() -> None:
    head = "FROM python:3.11\nWORKDIR /srv\nCOPY . .\n"
    files = {"app/__init__.py": "", "app/main.py": "", "gunicorn.conf.py": "import app\n", "run.py": _RUN}
    by_config = _program({"Dockerfile": f'{head}CMD ["gunicorn", "app.main:app"]\n', **files})
    by_script = _program({"Dockerfile": f'{head}CMD ["python", "run.py"]\n', **files})

    assert _names(by_config) == ["app", "app.main", "__config__"]
    assert _names(by_script) == ["__main__", "app", "app.main"]
    assert by_script.path.front == ("/srv",)


@pytest.mark.parametrize("command", ["fastapi run shop/api/main.py", "flask --app shop/api/main.py run"])
def test_a_server_imports_a_file_as_the_module_that_it_is(command: str) -> None:
    text = f"FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD {command}\n"
    files = {"shop/__init__.py": "", "shop/api/__init__.py": "", "shop/api/main.py": "from .other import x\n"}
    program = _program({"Dockerfile": text, **files})

    assert _names(program) == ["shop", "shop.api", "shop.api.main"]
    assert program.starts[-1].package == "shop.api"
    assert "/srv" in program.path.back


def test_functions_framework_loads_a_file_as_a_package_of_its_folder() -> None:
    text = "FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD functions-framework --source fn/code.py --target hello\n"
    program = _program({"Dockerfile": text, "fn/code.py": "", "fn/helper.py": ""})

    (start,) = program.starts
    assert (start.name, start.package, start.is_main) == ("code", "code", False)
    assert start.location.folders == ("/srv/fn",)


def test_python_m_runs_the_main_of_a_package() -> None:
    text = 'FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD ["python", "-m", "app"]\n'
    program = _program({"Dockerfile": text, "app/__init__.py": "", "app/__main__.py": ""})

    assert _names(program) == ["app", "__main__"]
    assert program.starts[-1].package == "app"


def test_what_dockerignore_drops_is_not_in_the_image() -> None:
    text = 'FROM python:3.11\nWORKDIR /srv\nCOPY . .\nCMD ["python", "main.py"]\n'
    program = _program({"Dockerfile": text, ".dockerignore": "local.py\n", "main.py": "", "local.py": ""})

    assert "/srv/main.py" in program.tree.origins
    assert "/srv/local.py" not in program.tree.origins


def test_an_installed_project_is_on_the_path() -> None:
    text = 'FROM python:3.11\nWORKDIR /srv\nCOPY . .\nRUN pip install .\nCMD ["gunicorn", "pkg.main:app"]\n'
    program = _program({"Dockerfile": text, "pyproject.toml": "", "src/pkg/__init__.py": "", "src/pkg/main.py": ""})

    assert "/srv/src" in program.path.back
    assert program.open_path


@pytest.mark.parametrize(
    ("files", "entry", "names"),
    [
        ({"Procfile": "web: python run.py\n", "run.py": ""}, (), ["__main__"]),
        ({"app.yaml": "entrypoint: gunicorn main:app\n", "main.py": ""}, (), ["main"]),
        ({"pyproject.toml": '[project.scripts]\nx = "pkg.cli:main"\n', "pkg/__init__.py": "", "pkg/cli.py": ""}, (), ["pkg", "pkg.cli"]),
        ({"app/main.py": "", "app/__init__.py": ""}, ("app.main",), ["app", "app.main"]),
        ({"main.py": ""}, (), []),
    ],
)  # fmt: skip
def test_without_a_dockerfile_other_files_name_the_start(
    files: dict[str, str], entry: tuple[str, ...], names: list[str]
) -> None:
    assert _names(_program(files, entry)) == names


@pytest.mark.parametrize(
    ("text", "folders", "roots"),
    [
        ("", {"src/pkg", "pkg"}, ("src", "")),
        ('[tool.setuptools.packages.find]\nwhere = ["code"]\n', {"code/pkg"}, ("code", "")),
        ('[tool.setuptools.package-dir]\n"" = "lib"\n', {"lib/pkg"}, ("lib", "")),
        ('[tool.poetry]\npackages = [{include = "pkg", from = "backend"}]\n', {"backend/pkg"}, ("backend", "")),
        ('[tool.hatch.build.targets.wheel]\npackages = ["server/pkg"]\n', {"server/pkg"}, ("server", "")),
        ('[tool.uv.build-backend]\nmodule-root = "code"\n', {"code/pkg"}, ("code", "")),
        ("[tool\n", {"pkg"}, ("",)),
    ],
)
def test_the_build_backend_sets_the_root_of_packages(text: str, folders: set[str], roots: tuple[str, ...]) -> None:
    tree = FileTree({f"{folder}/a.py": f"{folder}/a.py" for folder in folders})

    assert package_roots("", text.encode(), tree.has_sources) == roots


def test_homes_and_tests_are_told_by_their_paths() -> None:
    program = _program({"pkg/__init__.py": "", "pkg/sub/__init__.py": "", "pkg/sub/a.py": ""})

    assert home_of("/workspace/pkg/sub/a.py", program.tree) == ("/workspace", "pkg.sub.a")
    assert is_test("tests/a.py")
    assert is_test("pkg/test_a.py")
    assert is_test("orders/tests.py")
    assert not is_test("orders/contests.py")
    assert not is_test("orders/test.py")
    assert not is_test("pkg/contest.py")
    assert is_test("_integration-test/ca/run.py")
    assert is_test("scripts/smoke-test.py")
    assert is_test("browser_tests/pages/home.py")
    assert not is_test("speed_test/app.py")
    assert is_test("{{cookiecutter.name}}/config/api.py")


def test_words_of_imports_are_those_of_modules_names_and_exports() -> None:
    facts = extract(b"import a.b\nfrom .c import d as e\nfrom f import *\n__all__ = ['g']\ng = 1\n", (3, 11))

    assert words_of_imports([facts, None]) == {"a", "b", "c", "d", "f", "*", "g"}
    assert [last_word(path) for path in ("a/g/__init__.py", "a/g.py", "g.py")] == ["g", "g", "g"]
