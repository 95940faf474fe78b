"""BG701: the application that `flask run` takes from a module where the command names none, and options in the wrong place."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from buildguard.codes import Code
from buildguard.definitions import NamedTuple
from buildguard.project.start_command import StartCommand
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.source_facts import SourceFacts
from buildguard.startup.source_nodes import all_nodes

_NAMES = ("app", "application")
_FACTORIES = ("create_app", "make_app")
_ONCE_ALLOWED = "script_info"  # what Flask before 2.0 gave a factory that asks for it


def check_options(start: StartCommand, place: FindingPlace, findings: StartupFindings) -> bool:
    """Whether `--app` stands before `run`, whose option it is not."""
    words = start.arguments
    after = words[words.index("run") + 1 :] if "run" in words else ()
    wrong = next((word for word in after if word.split("=")[0] in {"--app", "-A"}), "")
    if wrong:
        message = f"flask run has no option {wrong.split('=')[0]}: it is one of flask"
        findings.add(Code.BG701, place, message, "put it in front of run: flask --app NAME run")
    return not wrong


def check_names(facts: SourceFacts | None, shown: str, place: FindingPlace, findings: StartupFindings) -> None:
    """Report a module in which flask certainly finds neither an application nor a factory that it can call."""
    if facts is None or facts.is_dynamic or facts.tree is None:
        findings.leave_open(place, f"{shown} may bind its application in ways that are not read")
    elif facts.names.isdisjoint(_NAMES):
        factory = next((name for name in _FACTORIES if name in facts.names), "")
        is_open = any(map(_may_be_application, facts.tree.body)) or any(map(_binds_within, all_nodes(facts.tree)))
        if is_open and not factory:
            findings.leave_open(place, f"which name of {shown} is the application of flask is not known")
        elif not is_open:
            _check_factory(facts.tree, factory, shown, FoundPlace(place, findings))


class FoundPlace(NamedTuple):
    """Where something is reported, and what keeps it."""

    place: FindingPlace
    findings: StartupFindings

    def add(self, message: str, hint: str) -> None:
        """Report it."""
        self.findings.add(Code.BG701, self.place, message, hint)


def _check_factory(tree: ast.Module, factory: str, shown: str, found: FoundPlace) -> None:
    needed = next(_required(tree, factory), "")
    if not factory:
        message = f"flask finds no application in {shown}: neither {', '.join(_NAMES)}, {' nor '.join(_FACTORIES)}"
        found.add(message, "name it: flask --app MODULE:NAME run")
    elif needed:
        message = f"flask calls {factory} of {shown} without arguments, and it requires {needed}"
        found.add(message, f"give {needed} a default, or write --app 'MODULE:{factory}(…)'")


def _may_be_application(node: ast.stmt) -> bool:
    """Whether a statement may bind an application: what it takes from Flask or binds as a class or function is none."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            return bool(node.decorator_list)
        case ast.ClassDef() | ast.Import():
            return False
        case ast.ImportFrom():
            return not _is_foreign(node) and any(node.level or not _is_class(alias.name) for alias in node.names)
        case ast.Expr():
            return False
        case ast.Assign() | ast.AnnAssign():
            return not isinstance(node.value, ast.Constant)
        case _:
            return True


def _binds_within(node: ast.AST) -> bool:
    """Whether a node binds a name of the module from within a function or an expression."""
    return isinstance(node, ast.Global | ast.NamedExpr)


def _is_class(name: str) -> bool:
    """Whether a name is written as those of classes are; one in capitals is a constant."""
    return name[:1].isupper() and not name.isupper()


def _is_foreign(node: ast.ImportFrom) -> bool:
    top = (node.module or "").partition(".")[0]
    return not node.level and top in {"flask", "werkzeug", "typing", "os", "pathlib", "logging", "__future__"}


def _required(tree: ast.Module, name: str) -> Iterator[str]:
    """The parameters without a default of a function that is defined once, and that nothing decorates."""
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    if len(found) == 1 and not found[0].decorator_list:
        yield from (item.arg for item in _without_default(found[0].args) if item.arg != _ONCE_ALLOWED)


def _without_default(arguments: ast.arguments) -> Iterator[ast.arg]:
    plain = [*arguments.posonlyargs, *arguments.args]
    yield from plain[: len(plain) - len(arguments.defaults)]
    keyword = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    yield from (item for item, value in keyword if value is None)
