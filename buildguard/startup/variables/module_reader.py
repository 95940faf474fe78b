"""Reads one source: its body, its functions and its classes, as far as they concern variables. Pure."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterator

from buildguard.definitions import NamedTuple
from buildguard.remote.import_tests import Evaluator
from buildguard.startup.source_facts import KEPT_SOURCES
from buildguard.startup.source_nodes import all_nodes
from buildguard.startup.variables.block_reader import BlockReader
from buildguard.startup.variables.bound_calls import bind
from buildguard.startup.variables.names import ModuleNames, assigned
from buildguard.startup.variables.records import UNKNOWN_PREFIX, CallSite, CodeBlock, ModuleVariables, UnreadUse
from buildguard.startup.variables.unread_uses import UnreadFinder

# Decorators under which a call still runs the function's body.
_PLAIN = frozenset({"functools.lru_cache", "functools.cache", "staticmethod", "classmethod", "functools.wraps"})
_PROPERTIES = frozenset({"property", "functools.cached_property", "pydantic.computed_field"})
_COMMANDS = ("click.", "typer.")
_ELSEWHERE = (
    "@"  # behind the name of a function that a framework calls, such as a handler of requests: its body runs later
)
_SYNCHRONOUS = "()"  # behind the name of a coroutine: its body runs where it is awaited


class _Function(NamedTuple):
    name: str
    node: ast.FunctionDef | ast.AsyncFunctionDef


@functools.lru_cache(KEPT_SOURCES)  # the commands of one start load much the same trees
def read_module(tree: ast.Module, minor: int, *, is_main: bool = False) -> ModuleVariables:
    """What a module, imported or run as a script by Python 3.`minor`, reads of its environment; empty where it nests too deeply."""
    try:
        return _ModuleReader(tree, minor, is_main=is_main).read()
    except RecursionError:
        return ModuleVariables(CodeBlock(), ModuleNames(ast.Module([], [])))


class _ModuleReader:
    def __init__(self, tree: ast.Module, minor: int, *, is_main: bool) -> None:
        self._tree = tree
        self._names = ModuleNames(tree)
        self._evaluator = Evaluator((3, minor), "linux", frozenset())
        self._is_main = is_main
        self._nodes: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = {}
        for node in all_nodes(tree):
            if isinstance(node, ast.Import):
                self._evaluator.see_import(node)
            elif isinstance(node, ast.ImportFrom):
                self._evaluator.see_import_from(node)

    def read(self) -> ModuleVariables:
        whole = BlockReader(self._names, self._evaluator, is_main=self._is_main)
        block = self._with_unread(whole.read(self._tree.body), self._tree.body, (), is_main=self._is_main)
        sets, is_open = whole.sets, whole.is_open
        functions: dict[str, CodeBlock] = {}
        properties: dict[str, UnreadUse] = {}
        for function in _functions(self._tree.body):
            parameters = {*_parameters(function.node)}
            reader = BlockReader(self._names.without(parameters), self._evaluator, parameters, is_main=False)
            body = self._with_unread(reader.read(function.node.body), function.node.body, parameters)
            sets |= reader.sets
            is_open |= reader.is_open
            if self._runs_when_called(function.node):
                is_async = isinstance(function.node, ast.AsyncFunctionDef)
                functions[function.name + (_SYNCHRONOUS if is_async else "")] = body
                self._nodes[function.name] = function.node
            else:
                functions[function.name + _ELSEWHERE] = body
                if (use := self._required_by(function.node, body)) is not None:
                    properties[function.node.name] = use
        classes = {node.name: node for node in self._tree.body if isinstance(node, ast.ClassDef)}
        made = self._objects()
        return ModuleVariables(
            block, self._names, functions, classes, made, frozenset(sets), is_open, properties, self._bind
        )

    def _with_unread(
        self, block: CodeBlock, body: list[ast.stmt], parameters: Collection[str], *, is_main: bool = False
    ) -> CodeBlock:
        """A block with the uses of the environment that are not read in it."""
        finder = UnreadFinder(self._names, parameters, is_main=is_main)
        finder.read(body)
        return block._replace(unread=tuple(finder.uses), attributes=frozenset(finder.attributes))

    def _required_by(self, node: ast.FunctionDef | ast.AsyncFunctionDef, block: CodeBlock) -> UnreadUse | None:
        """What a property requires where it is asked for."""
        decorators = {self._names.full(decorator) for decorator in node.decorator_list}
        read = next((read for read in block.reads if read.is_required), None)
        if read is None or decorators.isdisjoint(_PROPERTIES):
            return None
        return UnreadUse(node.lineno, f"the property {node.name} requires {read.names[0]} where it is asked for")

    def _bind(self, name: str, call: ast.Call) -> CodeBlock | None:
        """The body of a function as a call runs it."""
        node = self._nodes.get(name)
        body = bind(node, call) if node is not None else None
        if node is None or body is None:
            return None
        parameters = {*_parameters(node)}
        return BlockReader(self._names.without(parameters), self._evaluator, parameters, is_main=False).read(body)

    def _objects(self) -> dict[str, CallSite]:
        """What each name of the module is made by, where that is a call."""
        objects: dict[str, CallSite] = {}
        for node in self._tree.body:
            name, value = assigned(node)
            if name is not None:
                objects.pop(name, None)
                if isinstance(value, ast.Call) and self._names.full(value.func):
                    objects[name] = CallSite(self._names.full(value.func), value)
            elif isinstance(node, ast.Assign):
                self._prefix(node, objects)
        return objects

    def _prefix(self, node: ast.Assign, objects: dict[str, CallSite]) -> None:
        """`env.prefix = "APP_"`, which django-environ puts before each name."""
        for target in node.targets:
            made = objects.get(self._names.full(target).removesuffix(".prefix"))
            if made is not None and isinstance(target, ast.Attribute) and target.attr == "prefix":
                objects[ast.unparse(target.value)] = made._replace(
                    prefix=self._names.text(node.value) or UNKNOWN_PREFIX
                )

    def _runs_when_called(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        if any(isinstance(part, ast.Yield | ast.YieldFrom) for part in all_nodes(node)):
            return False
        for decorator in node.decorator_list:
            name = self._names.full(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if name not in _PLAIN and not name.startswith(_COMMANDS):
                return False
        return True


def _functions(body: list[ast.stmt], owner: str = "") -> Iterator[_Function]:
    """The functions of a module and the methods of its classes."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _Function(owner + node.name, node)
        elif isinstance(node, ast.ClassDef) and not owner:
            yield from _functions(node.body, f"{node.name}.")


def _parameters(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return (argument.arg for argument in every if argument is not None)
