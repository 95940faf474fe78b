"""What a script loads by name, read as data."""

from __future__ import annotations

import ast

import pytest

from buildguard.project.script_applications import load_applications
from buildguard.project.script_calls import dotted, full_name, imported_names, reached_calls
from buildguard.project.start_command import CommandPlace, StartCommand, StartContext, read_module
from buildguard.project.start_servers import searching_folder

_START = StartCommand(CommandPlace("Dockerfile", 1), script="/srv/run.py", is_main=True, search_path=("/srv",))


def _loaded(source: str, *files: str) -> list[tuple[str, str, int | None, str]]:
    start = load_applications(_START, "/srv/run.py", source.encode(), files.__contains__)
    return [(each.module, each.attribute, each.place.line, each.undecided) for each in start.loads]


@pytest.mark.parametrize(
    ("source", "loaded"),
    [
        ("import uvicorn\nuvicorn.run('a.b:c')\n", [("a.b", "c", 2, "")]),
        ("from uvicorn import run\nrun(app='a:b', port=1)\n", [("a", "b", 2, "")]),
        ("import uvicorn as u\nif __name__ == '__main__':\n    u.run('a:b.c')\n", [("a", "b.c", 3, "")]),
        ("import runpy\nrunpy.run_module('a.b')\n", [("a.b", "", 2, "")]),
        ("import uvicorn\nuvicorn.run(app)\n", []),
        ("import uvicorn\nif X:\n    uvicorn.run('a:b')\n", []),
        ("import uvicorn\ndef unused():\n    uvicorn.run('a:b')\n", []),
        ("import uvicorn\nuvicorn.run('a')\n", [("", "", 2, "the application 'a' of uvicorn is not understood")]),
        ("import uvicorn\nuvicorn.run('a:b' if X else 'c:d')\n", [("", "", 2, "the name that uvicorn loads is computed")]),
        ("import uvicorn\nuvicorn.run(\n", []),
        ("import sys, uvicorn\nsys.path.append('x')\nuvicorn.run('a:b')\n", [("", "b", 3, "run.py changes sys.path")]),
    ],
)  # fmt: skip
def test_what_a_script_loads(source: str, loaded: list[tuple[str, str, int | None, str]]) -> None:
    assert _loaded(source) == loaded


def test_a_changed_path_is_no_doubt_about_a_module_that_is_there() -> None:
    source = "import sys, uvicorn\nsys.path.append('x')\nuvicorn.run('a.b:c')\n"

    assert _loaded(source, "/srv/a/b.py") == [("a.b", "c", 3, "")]


def test_the_calls_of_a_script() -> None:
    tree = ast.parse(
        "import x.y as z\ndef main():\n    z.go()\nif __name__ == '__main__':\n    main()\nif A:\n    b()\n"
    )

    names = [full_name(dotted(call.func), imported_names(tree)) for call in reached_calls(tree)]

    assert names == ["x.y.go"]


def test_a_module_is_looked_up_in_the_working_folder() -> None:
    start = searching_folder(_START._replace(folder="/srv/app"))
    context = StartContext(read={"/srv/app/pkg/__init__.py": b"x = 1"}.get)

    assert start.search_path == ("/srv/app", "/srv")
    assert read_module(start, "pkg", context) == b"x = 1"
    assert read_module(start, "lost", context) is None
