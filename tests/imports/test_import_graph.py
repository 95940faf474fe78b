"""What a start reaches, in which order, and by which chain."""

from __future__ import annotations

import pytest

from buildguard.imports.circles import find_circles
from buildguard.imports.execution import is_certain, is_guarded, runs_at_import
from buildguard.imports.faults import ImportContext
from buildguard.imports.finder import ModuleKind, ModuleLocation
from buildguard.imports.import_graph import ImportGraph, find_reached
from buildguard.imports.names import LoadedModule
from buildguard.imports.own_imports import OwnImportJudge
from buildguard.imports.records import Bound, ModuleFacts, extract
from buildguard.imports.resolver import ImportKind, ModuleResolver, SearchPath
from buildguard.imports.shadows import find_shadows
from buildguard.imports.standard import LibraryModules
from buildguard.imports.taken_names import TakenNameReader
from buildguard.imports.unreached import LooseReader
from tests.imports.projects import TextProject

_FILES = {
    "main.py": "import app.web\ntry:\n    import extra\nexcept ImportError:\n    pass\n",
    "app/__init__.py": "",
    "app/web.py": "from app import db\ndef f():\n    import app.late\n",
    "app/db.py": "import json\n",
    "app/late.py": "",
    "extra.py": "",
    "other.py": "import app.missing\n",
}


def _graph(project: TextProject) -> tuple[ImportGraph, OwnImportJudge, ImportContext]:
    context = ImportContext(project.facts, project.read, LibraryModules(11), project.may_be_foreign)
    resolver = ModuleResolver(project.tree, project.program.path, LibraryModules(11), project.may_be_foreign)
    graph = ImportGraph(resolver, project.facts)
    return graph, OwnImportJudge(graph, context), context


def test_each_module_has_its_shortest_chain_and_how_surely_it_runs() -> None:
    project = TextProject(_FILES, "main")
    graph, _judge, _context = _graph(project)
    reached = find_reached(graph, project.program.starts)

    assert reached["app.db"].chain == ("main", "app.web", "app.db")
    assert {name for name, item in reached.items() if item.certain} == {"main", "app", "app.web", "app.db"}
    assert {name for name, item in reached.items() if not item.certain} == {"app.late", "extra"}


@pytest.mark.parametrize(
    ("first", "is_sure"),
    [
        ("import other\n", True),
        ("try:\n    import app.core\nexcept ImportError:\n    pass\n", False),
        ("def later():\n    try:\n        import app.core\n    except ImportError:\n        pass\n", True),
    ],
)
def test_what_a_package_imports_that_was_tried_before(first: str, *, is_sure: bool) -> None:
    """A package that failed under a handler left modules behind; what a function tries comes later."""
    project = TextProject(
        {
            "main.py": f"{first}import app.core.part\n",
            "other.py": "",
            "app/__init__.py": "",
            "app/core/__init__.py": "import app.alpha\n",
            "app/core/part.py": "",
            "app/alpha.py": "",
        },
        "main",
    )
    reached = find_reached(_graph(project)[0], project.program.starts)

    assert reached["app.alpha"].certain is is_sure
    assert reached["app.core.part"].certain


def test_a_file_that_no_start_reaches_is_read_from_its_home() -> None:
    project = TextProject(_FILES, "main")
    _graph_of, _judge, context = _graph(project)
    result = LooseReader(project.tree, ("/srv",), context).read(["/srv/other.py"], lambda _file: True, certain=False)

    assert [(fault.name, fault.certain) for fault in result.faults] == [("app.missing", False)]


def test_only_the_file_that_is_asked_for_is_read() -> None:
    """A check of one file in a large project reads what that file needs, a circle with other files included."""
    files = {"a.py": "from b import y\nx = 1\n", "b.py": "from a import x\ny = 1\n", "c.py": "import b\n"}
    project = TextProject(files, start="")
    read: list[str] = []
    _graph_of, _judge, context = _graph(project)

    def facts(file: str) -> ModuleFacts | None:
        read.append(file)
        return context.facts(file)

    loose = LooseReader(project.tree, ("/srv",), context._replace(facts=facts))
    sources = [f"/srv/{name}" for name in files]

    result = loose.read(sources, "/srv/a.py".__eq__, certain=True)

    assert [(fault.module.name, fault.name) for fault in result.faults] == [("b", "x")]
    assert set(read) == {"/srv/a.py", "/srv/b.py"}
    assert loose.read(sources, lambda _file: False, certain=True).faults == ()


def test_a_circle_stands_where_the_execution_stands() -> None:
    project = TextProject(
        {"main.py": "import a\n", "a.py": "from b import y\nx = 1\n", "b.py": "from a import x\ny = 1\n"}
    )
    graph, judge, _context = _graph(project)
    (circle,) = find_circles(graph, judge.executed, project.program.starts)

    assert circle.place == ("/srv/b.py", 1, "x")
    assert (circle.line, circle.circle) == (1, ("a", "b"))


def test_a_shadow_needs_a_name_that_the_file_never_binds() -> None:
    files = {
        "main.py": "import queue as q, code\nq.Queue()\ncode.own()\n",
        "queue.py": "",
        "code.py": "def own(): pass\n",
    }
    project = TextProject(files, "main.py")
    graph, judge, context = _graph(project)
    reached = find_reached(graph, project.program.starts)

    assert [fault.name for fault in find_shadows(graph, judge.names, reached, context.read)] == ["Queue"]


def test_guards_decide_whether_an_import_runs() -> None:
    text = (
        b"import a\nif __name__ == '__main__':\n    import b\ntry:\n    import c\nexcept ImportError:\n    import d\n"
    )
    facts = extract(text, (3, 11))
    assert facts is not None
    rows = {row.module: row for row in facts.imports}

    assert is_certain(rows["a"], is_main=False)
    assert is_certain(rows["b"], is_main=True)
    assert not runs_at_import(rows["b"], is_main=False)
    assert is_guarded(rows["c"])
    assert not is_certain(rows["d"], is_main=True)


def test_what_is_installed_is_asked_once_for_all_search_paths() -> None:
    project = TextProject({"a/x.py": "import json\nimport requests\nimport x\n", "b/x.py": ""}, "")
    asked: list[str] = []

    def may_be_foreign(name: str) -> bool:
        asked.append(name)
        return name == "requests"

    first = ModuleResolver(
        project.tree, SearchPath(("/srv/a",)), LibraryModules(11), may_be_foreign, prefer_installed=True
    )
    for path, file in ((SearchPath(("/srv/a",)), "/srv/a/x.py"), (SearchPath(("/srv/b",)), "/srv/b/x.py")):
        graph = ImportGraph(first.with_path(path), project.facts)
        module = graph.resolver.find("x").last
        assert module is not None
        assert module.location.file == file
        kinds = [
            edge.resolution.kind
            for edge in graph.edges(LoadedModule("main", ModuleLocation(ModuleKind.MODULE, "/srv/a/x.py")))
        ]
        assert kinds == [ImportKind.OUTSIDE, ImportKind.RESOLVED]  # without the one of the library

    assert asked == ["requests", "x"]


def test_an_import_of_the_library_in_a_package_of_its_name_is_followed() -> None:
    project = TextProject({"json/__init__.py": "", "json/x.py": "import json\n"}, "")
    resolver = ModuleResolver(
        project.tree, SearchPath((), ("/srv",)), LibraryModules(11), project.may_be_foreign, prefer_installed=True
    )
    graph = ImportGraph(resolver, project.facts)
    location = ModuleLocation(ModuleKind.MODULE, "/srv/json/x.py")

    assert [len(graph.edges(LoadedModule(name, location))) for name in ("json.x", "x")] == [1, 0]


def test_a_name_that_many_take_is_followed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    takes = "import config\nconfig.DEBUG\n"
    project = TextProject(
        {"config.py": "X = 1\n", "main.py": f"import a\nimport b\n{takes}", "a.py": takes, "b.py": takes}, "main"
    )
    graph, judge, context = _graph(project)
    reader = TakenNameReader(graph, judge.names, context)
    asked: list[str] = []
    is_bound = judge.names.is_bound

    def count(module: LoadedModule, name: str, before: int | None = None) -> Bound:
        asked.append(name)
        return is_bound(module, name, before)

    monkeypatch.setattr(judge.names, "is_bound", count)
    modules = [graph.resolver.find(name).last for name in ("main", "a", "b")]

    assert [taken.name for module in modules if module is not None for taken in reader.read(module)] == ["DEBUG"] * 3
    assert asked == ["DEBUG"]
