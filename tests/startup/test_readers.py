"""Readers of what a start loads: paths that are spelled out, calls that read, Alembic, Django, servers that no lock brings."""

from __future__ import annotations

import ast
from collections.abc import Mapping

import pytest

from buildguard.project.django_settings import VARIABLE, default_settings, listed_modules, may_set, settings_module
from buildguard.project.start_command import CommandPlace, StartCommand, StartProgram
from buildguard.startup import alembic
from buildguard.startup.configurations import check_configs
from buildguard.startup.findings import StartupFindings
from buildguard.startup.literal_paths import LiteralPath, PathReader, bound_once
from buildguard.startup.locked_programs import find_reason
from buildguard.startup.opened_files import handles_absence, read_call
from buildguard.startup.placeholders import check_placeholders
from tests.startup.test_parts import image_of

_DOCKERFILE = (
    "FROM python:3.11\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\nCMD alembic upgrade head\n"
)


def _expression(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


@pytest.mark.parametrize(
    ("text", "path", "is_beside"),
    [
        ("'a'", "a", False),
        ("__file__", "__file__", True),
        ("Path(__file__).parent", ".", True),
        ("Path(__file__).parent.parent / 'a'", "../a", True),
        ("Path(__file__).resolve().parents[2] / 'a'", "../../a", True),
        ("os.path.join(os.path.dirname(os.path.dirname(__file__)), 'a', 'b')", "../a/b", True),
        ("HERE / 'a'", "./a", True),
        ("Path.cwd() / 'a'", "./a", False),
        ("str(Path('a', 'b'))", "a/b", False),
        ("Path('a').with_name('b')", "./b", False),
    ],
)
def test_a_path_that_is_spelled_out(text: str, path: str, is_beside: bool) -> None:
    names = bound_once(ast.parse("HERE = Path(__file__).parent\nTWICE = 'a'\nTWICE = 'b'\n").body)

    found = PathReader(names).read(_expression(text))
    assert found is not None
    assert (found.text.lstrip("./"), found.is_beside) == (path.lstrip("./"), is_beside)
    assert found.text.count("..") == path.count("..")


@pytest.mark.parametrize(
    "text", ["TWICE", "x", "f'{a}'", "Path(x)", "'a' % b", "Path('a') / x", "x.parent", "''", "1", "f()"]
)
def test_a_path_that_is_not(text: str) -> None:
    names = bound_once(ast.parse("TWICE = 'a'\nTWICE = 'b'\n").body)

    assert PathReader(names).read(_expression(text)) is None


def test_calls_that_read() -> None:
    reader = PathReader()
    calls = {
        "open('a')": "a",
        "open('a', 'w')": "",
        "io.open(file='a')": "a",
        "Path('a').open('r')": "a",
        "'a'.open()": "",
        "Config('alembic.ini')": "alembic.ini",
        "Config('other')": "",
        "print('a')": "",
    }
    for text, path in calls.items():
        call = _expression(text)
        assert isinstance(call, ast.Call)
        found = read_call(call, reader)
        assert (found.path.text if found is not None else "") == path, text
    folder = _expression("StaticFiles(directory='a')")
    assert isinstance(folder, ast.Call)
    assert read_call(folder, reader) == (LiteralPath("a"), True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("try:\n    x\nexcept OSError: pass\n", True),
        ("try:\n    x\nexcept: pass\n", True),
        ("try:\n    x\nexcept ValueError: pass\n", False),
        ("with suppress(OSError): x\n", True),
        ("if p.exists(): x\n", True),
        ("if debug: x\n", False),
    ],
)
def test_blocks_that_may_be_without_a_file(text: str, expected: bool) -> None:
    assert handles_absence(ast.parse(text).body[0]) is expected


@pytest.mark.parametrize(
    ("ini", "scripts", "search_path"),
    [
        ("[alembic]\nscript_location = db\nprepend_sys_path = .\n", "/srv/db", ("/srv",)),
        ("[alembic]\nscript_location = %(here)s/db\n", "/srv/db", ()),
        ("[alembic]\nscript_location = shop:migrations\n", "", ()),
    ],
)
def test_the_configuration_of_alembic(ini: str, scripts: str, search_path: tuple[str, ...]) -> None:
    files = {"alembic.ini": ini, "db/env.py": "", "db/versions/a.py": "", "db/README": ""}
    image = image_of(_DOCKERFILE, files)
    config = alembic.read_config(image, "/srv/alembic.ini", "/srv")

    assert config == (scripts, search_path)
    assert config is not None
    loaded = [entry.path for entry in alembic.loaded_files(image, config)]
    assert loaded == (["/srv/db/env.py", "/srv/db/versions/a.py"] if scripts else [])
    assert alembic.read_config(image, "/srv/none.ini", "/srv") is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((), "/srv/alembic.ini"), (("-c", "a.ini", "upgrade"), "/srv/a.ini"), (("-c", "$X", "upgrade"), "")],
)
def test_the_file_that_alembic_reads(arguments: tuple[str, ...], expected: str) -> None:
    place = CommandPlace("Dockerfile", 1)
    start = StartCommand(place, (StartProgram("alembic", "/srv", place),), arguments=arguments, folder="/srv")

    assert alembic.config_path(start) == expected
    assert alembic.config_path(start._replace(programs=())) == ""


def test_the_lists_of_settings() -> None:
    tree = ast.parse(
        "INSTALLED_APPS = ['a', 'b.apps.B'] + ['c']\nINSTALLED_APPS += [d]\nMIDDLEWARE: list = ('m.M',)\nX = ['x']\n"
    )
    files = {"x.yaml": VARIABLE.encode(), "package.json": VARIABLE.encode(), "a.yaml": b""}

    assert list(listed_modules(tree)) == [("a", 1), ("b.apps", 1), ("c", 1), ("m", 3)]
    assert settings_module(["a.yaml"], files.get, {}, "a.settings") == "a.settings"
    assert settings_module([], files.get, {VARIABLE: "b"}, "a") == "b"
    assert settings_module(filter(may_set, files), files.get, {}, "a") == ""
    assert settings_module(filter(may_set, ["package.json"]), files.get, {}, "a") == "a"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')", "a.b"),
        (b"load_dotenv()\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'a.b')\nimport dotenv", ""),
        (b"environ.setdefault('DJANGO_SETTINGS_MODULE', 'a')\nenviron.setdefault('DJANGO_SETTINGS_MODULE', 'b')", ""),
        (b"setdefault('DJANGO_SETTINGS_MODULE', name)", ""),
    ],
)
def test_the_default_settings_of_a_source(source: bytes, expected: str) -> None:
    assert default_settings(source) == expected


def test_the_parts_take_an_image() -> None:
    files: Mapping[str, str] = {"main.py": "", "requirements.txt": "flask\n", "alembic.ini": ""}
    image, findings = image_of(_DOCKERFILE, files), StartupFindings()
    assert isinstance(image.start, StartCommand)
    check_configs(image, image.start, findings)
    check_placeholders(image, findings)

    assert findings.report().diagnostics == ()
    assert find_reason(image, "alembic") == "requirements.txt does not bring alembic"
    assert find_reason(image, "some-tool") == ""
