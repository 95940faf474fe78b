"""Templates of sources: a warning where no start reaches them, and an error in every other place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from buildguard.check.template_files import soften_templates
from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

_IMPORT = "from acme.{{ version }}.client import Client"
_MESSAGE = "SyntaxError: invalid syntax"


def _refused(path: str, excerpt: str, message: str = _MESSAGE) -> Diagnostic:
    return Diagnostic(Code.BG101, Severity.ERROR, DisplayPath(path), Range(1, 2), message, excerpt=excerpt)


@pytest.mark.parametrize(
    ("path", "excerpt", "folder"),
    [
        ("gen/template/v/a.py", _IMPORT, "gen/template/"),
        ("templates/a.py", "{% for name in names %}", "templates/"),
        ("app_template/a.py", "{%- if name %}", "app_template/"),
        ("tools/skeleton/a.py", "class {{name}}(Base):", "tools/skeleton/"),
        ("cookiecutter-acme/a.py", "class {{ cookiecutter.name|title }}:", "cookiecutter-acme/"),
    ],
)
def test_a_template_is_a_warning_that_shows_how_to_exclude_it(path: str, excerpt: str, folder: str) -> None:
    (diagnostic,) = soften_templates([_refused(path, excerpt)], ())

    assert diagnostic.severity is Severity.WARNING
    assert diagnostic.message == f"a template, and no source that Python can compile: {_MESSAGE}"
    assert diagnostic.hint == f'leave it out: exclude = ["{folder}**"] in [tool.buildguard]'


@pytest.mark.parametrize(
    "diagnostic",
    [
        _refused("app/v/a.py", _IMPORT),
        _refused("app/template.py", _IMPORT),
        _refused("app/templatetags/a.py", _IMPORT),
        _refused("templates/reached.py", _IMPORT),
        _refused("templates/a.py", "def f(:"),
        _refused("templates/a.py", "x = {{1: 2}"),
        _refused("email_templates/a.py", 'html = "<p>{{ name }}</p>', "SyntaxError: unterminated string literal"),
        _refused("templates/a.py", "x = f( # {{ name }}", "SyntaxError: '(' was never closed"),
        _refused("templates/a.py", "class A(text='{{ name }}'"),
        _refused("templates/a.py", "<p>{{ name }}</p>"),
        _refused("templates/a.py", 'f"{{ name }} {x!}"', "SyntaxError: f-string: invalid conversion character"),
        _refused("templates/a.py", _IMPORT)._replace(code=Code.BG103),
    ],
)
def test_anything_else_that_does_not_compile_stays_an_error(diagnostic: Diagnostic) -> None:
    assert [*soften_templates([diagnostic], {"templates/reached.py"})] == [diagnostic]


@pytest.mark.parametrize(
    ("main", "severity"),
    [
        ("", "warning"),
        ("import gen.template.a\n", "error"),
        ("def f():\n    import gen.template.a\n", "error"),
    ],
)
def test_a_template_that_a_start_reaches_is_an_error(
    repository: Callable[..., Project], main: str, severity: str
) -> None:
    docker = "FROM python:3.11-slim\nWORKDIR /srv\nCOPY . .\nCMD python main.py\n"
    made = repository({"Dockerfile": docker, "main.py": main, "gen/template/a.py": _IMPORT + "\n"})

    for _ in range(2):  # the second run knows it from the cache
        (row,) = (row for row in made.check().json["diagnostics"] if row["code"] == "BG101")
        assert (row["path"], row["severity"]) == ("gen/template/a.py", severity)


def test_without_a_start_every_file_counts_as_executed(repository: Callable[..., Project]) -> None:
    made = repository({"main.py": "", "gen/template/a.py": _IMPORT + "\n"})

    for _ in range(2):
        (row,) = (row for row in made.check("--target", "3.11").json["diagnostics"] if row["code"] == "BG101")
        assert row["severity"] == "error"
