"""The architecture, kept by tests: who may import whom, what starts a process, and which names are taken."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import pytest

from buildguard.codes import Code
from buildguard.deploy.plan import Builder
from buildguard.diagnose.cause import CauseId
from buildguard.diagnostic import Severity
from buildguard.project.ledger import StepVerdict
from buildguard.project.proof_grade import ProofGrade
from tests import sources
from tests.conftest import REPOSITORY, interpreter, untraced
from tests.sources import PACKAGE, SOURCES

# Each room may import the rooms before it and itself; rooms of one row in the order of the row.
ROOMS = (
    ("definitions", "errors", "codes", "diagnostic"),
    ("remote",),
    ("system",),
    ("stages",),
    ("project",),
    ("docker", "gcp"),
    ("fstrings",),
    ("engines",),
    ("locate",),
    ("load",),
    ("compare",),
    ("imports", "startup"),
    ("check",),
    ("diagnose",),
    ("cycles",),
    ("deploy",),
    ("loop",),
    ("api",),
    ("cli",),
)
_ORDER = [room for row in ROOMS for room in row]
_FIELD = re.compile(
    r"(?<!step )`([a-z_]+)` (?:is (?!about to)|are|says|where|names)\b"
)  # what a docstring says of a field
# Modules that start a process on purpose: our one seam, and programs that fork inside another Python.
_FORKING = frozenset(
    {
        "system/process.py",
        "remote/relay.py",
        "remote/compile_all.py",
        "remote/cloud_driver.py",
        "remote/library_query.py",
        "remote/import_modules.py",
    }
)
_PRINTING = frozenset({"cli/commands.py", "cli/exit.py", "cli/main.py", "cli/render/progress.py"})


class Import(NamedTuple):
    """One import of a module of ours: the dotted name, and whether only type checkers see it."""

    line: int
    module: str


def _name(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


@functools.cache
def _imports(file: Path) -> tuple[Import, ...]:
    """Every import at any depth, those for types included."""
    return tuple(_find_imports(file))


def _find_imports(file: Path) -> Iterator[Import]:
    for node in sources.of_type(file, ast.ImportFrom):
        if node.module:
            yield Import(node.lineno, node.module)
            for alias in node.names:
                yield Import(node.lineno, f"{node.module}.{alias.name}")
    for whole in sources.of_type(file, ast.Import):
        for alias in whole.names:
            yield Import(whole.lineno, alias.name)


def test_rooms_import_only_what_stands_before_them() -> None:
    wrong = []
    for file in SOURCES:
        room = _name(file).split("/")[0].removesuffix(".py")
        if room.startswith("__"):
            continue
        assert room in _ORDER
        wrong += [
            f"{_name(file)}:{found.line} imports {found.module}"
            for found in _imports(file)
            if found.module.startswith("buildguard.")
            and _room(found.module) in _ORDER
            and _ORDER.index(_room(found.module)) > _ORDER.index(room)
        ]

    assert not wrong


def _loads(file: Path) -> set[str]:
    """The modules of ours that are loaded with a file: its imports at the top, types aside."""
    modules = _modules()
    found: set[str] = set()
    for node in sources.tree(file).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in modules else node.module)
    return found & modules - {"buildguard"}


@functools.cache
def _modules() -> frozenset[str]:
    return frozenset(_module(file) for file in SOURCES)


@functools.cache
def _module(file: Path) -> str:
    return "buildguard." + _name(file).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_no_modules_load_each_other_in_a_circle() -> None:
    graph = {_module(file): _loads(file) for file in SOURCES}
    while leaves := {module for module, loads in graph.items() if not loads & graph.keys()}:
        graph = {module: loads for module, loads in graph.items() if module not in leaves}

    assert not sorted(graph)


def test_remote_programs_need_the_standard_library_alone() -> None:
    allowed = {*sys.stdlib_module_names, "buildguard"}
    for file in sorted((PACKAGE / "remote").glob("*.py")):
        ours = [found.module for found in _imports(file) if found.module.startswith("buildguard")]

        assert not [found for found in _imports(file) if found.module.split(".")[0] not in allowed], file
        assert all(module.startswith("buildguard.remote") for module in ours if module != "buildguard"), file


@pytest.mark.interpreters
def test_remote_programs_compile_on_the_oldest_target() -> None:
    files = [str(file) for file in sorted((PACKAGE / "remote").glob("*.py"))]
    code = "import sys\nfor name in sys.argv[1:]: compile(open(name, 'rb').read(), name, 'exec')"

    done = subprocess.run([interpreter("3.8"), "-I", "-c", code, *files], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


# What a project's files say is read by `load.Project`. Beside it, the start and the installs of images are judged before
# there is a project, and imports by a stage that records what they depend on.
_PARTS_OF_A_PROJECT = frozenset(
    {
        "config.read_stage",
        "discovery.discover_targets",
        "discovery.list_buildpack_recipes",
        "discovery.list_recipes",
        "nested_config.add_folders",
        "sources.choose",
    }
)
_READING_PARTS = {
    "load.py": _PARTS_OF_A_PROJECT,
    "startup/run.py": {"discovery.list_recipes"},
    "startup/installs/check.py": {"discovery.list_recipes"},
    "startup/variables/survey.py": {"discovery.list_recipes"},
    "check/project_imports.py": {"discovery.list_recipes"},
}


def _project_functions(file: Path) -> set[str]:
    """The functions of `_PARTS_OF_A_PROJECT` that a file imports, or uses as an attribute of their module."""
    modules = {part.split(".")[0] for part in _PARTS_OF_A_PROJECT}
    names = {alias.asname or alias.name: alias.name for alias in _aliases(file) if alias.name in modules}
    used = {
        f"{names[node.value.id]}.{node.attr}"
        for node in sources.of_type(file, ast.Attribute)
        if isinstance(node.value, ast.Name) and node.value.id in names
    }
    imported = {found.module.removeprefix("buildguard.project.") for found in _imports(file)}
    return (used | imported) & _PARTS_OF_A_PROJECT


def _aliases(file: Path) -> Iterator[ast.alias]:
    for node in sources.of_type(file, ast.ImportFrom):
        if node.module == "buildguard.project":
            yield from node.names


def test_a_project_is_read_in_one_place() -> None:
    used = {_name(file): _project_functions(file) for file in SOURCES if not _name(file).startswith("project/")}

    assert {name: functions for name, functions in used.items() if functions} == _READING_PARTS


# Who asks what the f-string rules find in a source: `check`, for `fix` and the rest; engines that predict, and a diagnosis
# that asks for a newer Python.
_ASKING_RULES = frozenset({"check/cloud.py", "check/findings.py", "engines/static.py"})


def test_f_strings_are_searched_in_one_place() -> None:
    """`fix` repairs what `check` found: whatever looks for f-strings beside it would have answers of its own."""
    asking = {
        _name(file)
        for file in SOURCES
        for node in sources.of_type(file, ast.Attribute)
        if node.attr in {"judge", "findings", "refuses"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "rules"
    }

    assert asking == {*_ASKING_RULES, "diagnose/newest_python.py"}


def test_only_the_command_line_renders() -> None:
    # the entry point hands over to the command line
    others = [file for file in SOURCES if not _name(file).startswith("cli/") and _name(file) != "__main__.py"]

    assert not [
        (_name(file), found) for file in others for found in _imports(file) if found.module.startswith("buildguard.cli")
    ]


def test_no_module_imports_what_is_private_elsewhere() -> None:
    assert not [
        (_name(file), alias.name)
        for file in SOURCES
        for node in sources.of_type(file, ast.ImportFrom)
        if (node.module or "").startswith("buildguard")
        for alias in node.names
        if alias.name.startswith("_") and alias.name != "__version__"
    ]


def test_processes_start_in_one_module() -> None:
    for file in SOURCES:
        if _name(file) in _FORKING:
            continue
        assert not re.search(r"\bsubprocess\.(?!Popen\[)|os\.system|os\.fork|shell=True", sources.text(file)), file
        assert "pickle" not in {found.module for found in _imports(file)}, file


# What is done in one place: the calls, and where they stand. Programs in `remote` run alone in a target.
_ONE_PLACE = {
    "ends and reaps children": (r"os\.(?:kill|killpg|wait(?:pid|[0-9])?)|[\w.]*\.communicate", {"system/process.py"}),
    "puts one file in the place of another": (r"os\.(?:rename|replace|link|renames)", {"system/temporary.py"}),
    # devices and pipes, folders that are removed again, and a lock that is held while it is written
    "writes a file in place": (
        r".*\.write_(?:bytes|text)",
        {"cli/render/formats.py", "deploy/lock.py", "engines/static.py", "system/git_directory.py"},
    ),
    "writes archives": (r"tarfile\.TarInfo|[\w.]*\.addfile|[\w.]*\.gettarinfo|shutil\.make_archive", set()),
    "makes a docker network": (r"[\w.]*\.(?:create_network|networks)", {"docker/client.py"}),
}
# `os.kill(pid, 0)` asks whether a process lives; `os.wait4` is what knows how much memory a probe had.
_NOT_ENDING = {
    ("system/owner.py", "os.kill"),
    ("system/channels.py", "os.wait4"),
    ("system/git_wait.py", "process.communicate"),
}


@functools.cache
def _calls(file: Path) -> list[tuple[int, str]]:
    """The line of every call, and what is called."""
    return [(node.lineno, sources.dotted(node.func)) for node in sources.of_type(file, ast.Call)]


def test_what_is_done_in_one_place() -> None:
    wrong = [
        f"{_name(file)}:{line} {what}"
        for what, (calls, places) in _ONE_PLACE.items()
        for file in SOURCES
        if _name(file) not in places and not _name(file).startswith("remote/")
        for line, call in _calls(file)
        if re.fullmatch(calls, call) and (_name(file), call) not in _NOT_ENDING
    ]

    assert not wrong


def test_archives_are_written_by_our_own_writer() -> None:
    modes = {
        (_name(file), ast.unparse(keyword.value))
        for file in SOURCES
        if not _name(file).startswith("remote/")
        for node in sources.of_type(file, ast.Call)
        if sources.dotted(node.func) == "tarfile.open"
        for keyword in node.keywords
        if keyword.arg == "mode"
    }

    assert not modes


# Whatever is raised ends at the command line's boundary; libraries without types of their own, and tasks in threads,
# whose errors are raised again in the waiting thread, stand behind one function each.
_CATCHING_ALL = frozenset({"cli/exit.py", "system/foreign.py", "system/threads.py"})


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(error is None or ast.unparse(error) in {"Exception", "BaseException"} for error in caught)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_everything_is_caught_at_one_boundary() -> None:
    """Elsewhere a handler for everything tidies up, and raises what it caught."""
    swallowing = {
        _name(file)
        for file in SOURCES
        if not _name(file).startswith("remote/")
        for node in sources.of_type(file, ast.ExceptHandler)
        if _catches_all(node) and not _raises_again(node)
    }

    assert swallowing == _CATCHING_ALL


def test_only_the_command_line_prints() -> None:
    for file in SOURCES:
        if _name(file) in _PRINTING or _name(file).startswith("remote/"):
            continue
        assert "print" not in {call for _line, call in _calls(file)}, file
        assert "click.echo" not in sources.text(file), file


def test_files_and_functions_stay_small() -> None:
    long_files = [_name(file) for file in SOURCES if len(sources.text(file).splitlines()) > 450]
    long_functions = [
        (_name(file), node.name)
        for file in SOURCES
        for node in sources.of_type(file, ast.FunctionDef)
        if (node.end_lineno or 0) - node.lineno > 60
    ]

    assert (long_files, long_functions) == ([], [])


# Functions with more branches than this are split; their average may fall, and does not rise.
_MOST_BRANCHES = 15
_AVERAGE_BRANCHES = 4.31


_BRANCHING = (
    ast.If, ast.IfExp, ast.Assert, ast.For, ast.While, ast.AsyncFor, ast.Try, ast.BoolOp, ast.comprehension, ast.Match,
)  # fmt: skip


# without a branch, or with branches of its own
_LEAVES = (ast.Name, ast.Constant, ast.FunctionDef, ast.AsyncFunctionDef)


def _complexity(function: ast.AST) -> int:
    """McCabe's number as radon counts it: boolean operators, comprehensions and asserts included, inner functions not."""
    complexity = 1
    pending = sources.parts(function)
    while pending:
        node = pending.pop()
        if not isinstance(node, _LEAVES):
            complexity += _branches(node) if isinstance(node, _BRANCHING) else 0
            pending += sources.parts(node)
    return complexity


def _branches(node: ast.AST) -> int:
    branches = 0
    match node:
        case ast.If() | ast.IfExp() | ast.Assert():
            branches = 1
        case ast.For() | ast.While() | ast.AsyncFor():
            branches = 1 + bool(node.orelse)
        case ast.Try():
            branches = len(node.handlers) + bool(node.orelse)
        case ast.BoolOp():
            branches = len(node.values) - 1
        case ast.comprehension():
            branches = 1 + len(node.ifs)
        case ast.Match():
            branches = len(node.cases) - sum(_takes_all(case.pattern) for case in node.cases)
    return branches


def _takes_all(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    yield from sources.of_type(file, ast.FunctionDef)
    yield from sources.of_type(file, ast.AsyncFunctionDef)


def test_functions_stay_simple() -> None:
    functions = {
        (_name(file), node.name, node.lineno): _complexity(node) for file in SOURCES for node in _functions(file)
    }

    assert not {place: complexity for place, complexity in functions.items() if complexity > _MOST_BRANCHES}
    assert sum(functions.values()) / len(functions) <= _AVERAGE_BRANCHES


_MUTABLE = re.compile(r"\b(?:list|dict|set|bytearray|defaultdict|Counter|deque)\b")


def _is_record(node: ast.ClassDef) -> bool:
    frozen = any("frozen=True" in ast.unparse(decorator) for decorator in node.decorator_list)
    return frozen or any(ast.unparse(base) == "NamedTuple" for base in node.bases)


def test_records_hold_nothing_mutable() -> None:
    mutable = {
        (_name(file), node.name, ast.unparse(field))
        for file in SOURCES
        for node in sources.of_type(file, ast.ClassDef)
        if _is_record(node)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and _MUTABLE.search(ast.unparse(field.annotation))
    }

    assert not mutable


# Sets too large to name in full, where most members mean the same: reasons of errors, and kinds that include any exception.
_MATCHING_SOME = frozenset({"diagnose/collect.py", "gcp/cloud_build.py", "engines/worker.py"})


def test_closed_sets_are_matched_to_their_end() -> None:
    """A member that is added later does not fall into a branch that was made for others."""
    open_ended = {
        _name(file)
        for file in SOURCES
        for node in sources.of_type(file, ast.Match)
        if any(_is_member(case.pattern) for case in node.cases)
        if _takes_all(node.cases[-1].pattern) and "assert_never" not in ast.unparse(node.cases[-1])
    }

    assert open_ended == _MATCHING_SOME


def _is_member(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchValue) and isinstance(pattern.value, ast.Attribute)


# What holds a member of a closed set is compared with a member: a value that is misspelled would never be equal.
_CLOSED_SETS: dict[str, type[StrEnum]] = {
    "builder": Builder,
    "cause": CauseId,
    "code": Code,
    "proof": ProofGrade,
    "severity": Severity,
    "verdict": StepVerdict,
}


def test_closed_sets_are_compared_by_their_members() -> None:
    texts = [
        f"{_name(file)}:{node.lineno} {ast.unparse(node)}"
        for file in SOURCES
        if not _name(file).startswith("remote/")
        for node in sources.of_type(file, ast.Compare)
        for side in (node.left, *node.comparators)
        if isinstance(side, ast.Attribute) and side.attr in _CLOSED_SETS
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and constant.value in {*map(str, _CLOSED_SETS[side.attr])}
    ]

    assert not texts


def _bases(node: ast.ClassDef) -> set[str]:
    return {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}


def test_no_class_name_is_used_twice() -> None:
    """A Protocol's implementations may share a name: a reader of one of them knows which is intended by its room."""
    places: dict[str, list[tuple[str, set[str]]]] = defaultdict(list)
    protocols: set[str] = set()
    for file in SOURCES:
        for node in sources.of_type(file, ast.ClassDef):
            places[node.name.lstrip("_")].append((_name(file), _bases(node)))
            if "Protocol" in _bases(node):
                protocols.add(node.name)
    twice = {
        name: [file for file, _bases in rows]
        for name, rows in places.items()
        if len(rows) > 1 and not all(bases & protocols for _file, bases in rows)
    }

    assert not twice


_SHORT = 150  # characters of a dumped body: less is no second implementation of anything


def _statements(function: ast.FunctionDef) -> list[ast.stmt]:
    """What a function does, less its docstring."""
    return [node for node in function.body if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))]


def _shape(function: ast.FunctionDef) -> tuple[object, ...]:
    """What two functions with one body share: the kinds of their statements and of what is in each."""
    return tuple((type(node), *map(type, sources.parts(node))) for node in _statements(function))


def _body(function: ast.FunctionDef) -> str:
    """What a function does, whatever it calls its arguments and locals."""
    names = {argument.arg: f"argument {number}" for number, argument in enumerate(function.args.args)}
    statements = _statements(function)
    nodes = [node for statement in statements for node in ast.walk(statement) if isinstance(node, ast.Name)]
    for node in nodes:
        if isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, f"local {len(names)}")
    dumped = "\n".join(map(ast.dump, statements))
    return re.sub(r"id='(\w+)'", lambda match: f"id={names.get(match[1], match[1])!r}", dumped)


def test_no_function_is_written_twice() -> None:
    """Each fact has one place; the programs of `remote` run alone, and a few of them cannot share."""
    alike: dict[tuple[object, ...], list[tuple[str, ast.FunctionDef]]] = defaultdict(list)
    for file in SOURCES:
        for node in sources.tree(file).body:
            if isinstance(node, ast.FunctionDef) and not _name(file).startswith("remote/"):
                alike[_shape(node)].append((_name(file), node))
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for rows in alike.values():
        for name, node in rows if len(rows) > 1 else ():
            places[_body(node)].append((name, node.name))

    assert not [same for body, same in places.items() if len(same) > 1 and len(body) > _SHORT]


# an import as a test writes it; a syntax tree of every test costs more than all the rest of this file
_NAMED = re.compile(
    r"^\s*(?:from (buildguard[\w.]*) import (\([^)]*\)|[^(\n]*)|import (buildguard[\w.]*))", re.MULTILINE
)


def _named(text: str) -> Iterator[str]:
    """The modules that a test imports, or names in a string of its own."""
    for module, names, whole in _NAMED.findall(text):
        yield module or whole
        yield from (f"{module}.{name}" for name in re.findall(r"\w+", names))
    yield from (word for word in text.split('"') if word.startswith("buildguard."))


def test_every_module_is_named_by_a_test() -> None:
    named: set[str] = set()
    for file in (REPOSITORY / "tests").rglob("*.py"):
        if "cases" not in file.parts:
            named.update(_named(file.read_text("utf-8")))
    modules = {
        "buildguard." + _name(file).removesuffix(".py").replace("/", ".")
        for file in SOURCES
        if not file.name.startswith("__")
    }

    assert not sorted(modules - named)


def test_what_names_a_module() -> None:
    text = 'from buildguard.a import (\n    b,\n    c as d,\n)\n    from buildguard import e\nimport buildguard.f\nx = "buildguard.g"\n'

    assert {"buildguard.a.b", "buildguard.a.c", "buildguard.e", "buildguard.f", "buildguard.g"} <= {*_named(text)}
    assert {*_named("# buildguard.a\ny = buildguard.b\n")} == set()


# What others report has no other form: Google's one quota, a database that is busy, and the line of an error in TOML.
_READING_FOREIGN_WORDS = frozenset({"gcp/failures.py", "system/cache.py", "project/toml.py"})
_SEARCHES = frozenset({"startswith", "endswith", "find", "index", "search", "match", "fullmatch"})


def _is_words(node: ast.AST) -> bool:
    """Whether an expression is the text of an error, or the name of its class."""
    match node:
        case ast.Attribute(value=ast.Name(id="error"), attr="what" | "words" | "hint" | "args"):
            return True
        case ast.Attribute(value=ast.Call(func=ast.Name(id="type")), attr="__name__"):
            return True
        case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id="error")]):
            return True
    return False


def test_no_decision_reads_the_words_of_an_error() -> None:
    """What follows from an error is decided by its `reason`."""
    wrong = []
    for file in SOURCES:
        for node in sources.of_type(file, ast.Compare, ast.Call) if not _name(file).startswith("remote/") else ():
            if isinstance(node, ast.Compare):
                read = [node.left, *node.comparators]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _SEARCHES:
                read = [node.func.value, *node.args]
            else:
                continue
            if any(map(_is_words, read)) and _name(file) not in _READING_FOREIGN_WORDS:
                wrong.append(f"{_name(file)}:{node.lineno}")

    assert not wrong


_HEAVY = ("docker", "libcst", "google", "findpython", "rich", "ruamel", "pathspec", "packaging", "asyncio", "tempfile")
# The options of `check` are parsed without click where a hook gives them (buildguard.cli.check_arguments).
_UNUSED_BY_HOOKS = ("click", "inspect", "dataclasses", "tomllib")


def _loaded(*argv: str, cwd: Path) -> set[str]:
    code = (
        "import sys; from buildguard.cli.main import main; sys.argv = ['buildguard', *sys.argv[1:]]\n"
        "import atexit; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\nmain()"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, *argv], cwd=cwd, capture_output=True, check=False)
    return {name.split(".")[0] for name in done.stderr.decode().split()}


@pytest.mark.interpreters
@untraced
def test_a_hook_loads_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:3.11\n")
    (tmp_path / "a.py").write_text("x = 1\n")

    for _ in range(2):
        loaded = _loaded("check", cwd=tmp_path)
        assert "_sqlite3" in loaded
        assert not loaded & {*_HEAVY, *_UNUSED_BY_HOOKS}
    assert not _loaded("--version", cwd=tmp_path) & {*_HEAVY, "_sqlite3", "subprocess", "hashlib", "json"}


def test_a_record_describes_the_fields_that_it_has() -> None:
    """A field that was renamed keeps its name in no docstring."""
    stale = []
    for file in SOURCES:
        for node in sources.of_type(file, ast.ClassDef):
            members = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            fields = {ast.unparse(item.target) for item in node.body if isinstance(item, ast.AnnAssign)}
            words = " ".join((ast.get_docstring(node) or "").split())
            named = _FIELD.findall(words) if fields else []
            stale += [f"{file.name}: {node.name}: {name}" for name in named if name not in members | fields]

    assert stale == []
