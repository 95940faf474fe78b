"""What Django loads when its application starts: the settings, and the apps and middleware that they list. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import singledispatch

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern

if TYPE_CHECKING:
    from typing import TypeAlias

VARIABLE = "DJANGO_SETTINGS_MODULE"
_LISTS = frozenset({"INSTALLED_APPS", "MIDDLEWARE"})
_SETTERS = (".yaml", ".yml", ".tf", ".tfvars", ".sh", ".mk", "Makefile", ".toml", ".json")
_DEFAULT = lazy_pattern(rb"""\bsetdefault\(\s*["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']\s*,?\s*\)""")


NamedLists: TypeAlias = "Mapping[str, Sequence[ast.expr | None]]"


class ListedName(NamedTuple):
    """A text that settings list: the file and the line where it stands, and whether it names a middleware or an app."""

    file: str
    text: str
    line: int
    is_middleware: bool


def settings_module(
    paths: Iterable[str], read: Callable[[str], bytes | None], env: Mapping[str, str], default: str
) -> str:
    """The settings that a start reads: the image's own variable, else the default of the code; empty where a deploy sets it.

    `paths` are those of `may_set`.
    """
    if any(VARIABLE.encode() in (read(path) or b"") for path in paths):
        return ""
    module = env.get(VARIABLE, default)
    return "" if "$" in module else module


def default_settings(source: bytes) -> str:
    """The settings that a source sets as the default, where it does so once and reads no `.env` file before; else empty."""
    names = _DEFAULT.findall(source) if b"dotenv" not in source else []
    return names[0].decode() if len(names) == 1 else ""


def may_set(path: str) -> bool:
    """Whether a file of the project may set the variable for a container."""
    return path.endswith(_SETTERS) and not path.endswith(("package.json", "lock.json"))


def listed_modules(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The modules of the apps and the middleware that settings list at their top level, each with its line."""
    lists = named_lists(tree)
    for node in tree.body:
        names = targets_of(node)
        if _LISTS.intersection(names) and isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from ((_module_of(text), line) for text, line in texts_in(node.value, lists))


def listed_names(trees: Iterable[tuple[str, ast.Module]]) -> Iterator[ListedName]:
    """The apps and the middleware as settings list them.

    `trees` are the settings, and then those that they take everything from. A list that is changed in another way than by adding
    literal texts is left out, and so is one that a module above binds without it.
    """
    sources = [*trees]
    for name in sorted(_LISTS):
        for file, tree in sources:
            bound = [node for node in tree.body if name in targets_of(node)]
            if _is_changed(tree, bound, name):
                break
            texts = _listed_texts(bound, named_lists(tree))
            yield from (ListedName(file, text, line, name == "MIDDLEWARE") for text, line in texts)
            if any(_replaces(node, name) for node in bound):
                break


def _listed_texts(bound: Iterable[ast.stmt], lists: NamedLists) -> Iterator[tuple[str, int]]:
    return (pair for node in bound for pair in texts_in(value_of(node), lists))


def named_lists(tree: ast.Module, *others: ast.expr) -> NamedLists:
    """The values of each list that a source binds once at its top level and only adds to others: `DJANGO_APPS + LOCAL_APPS`.

    `others` are expressions that may add them as well.
    """
    nodes = _bindings(tree)
    values = {name: list(map(value_of, bound)) for name, bound in nodes.items()}
    every = [*others, *(value for of_name in values.values() for value in of_name)]

    def is_only_added(name: str) -> bool:
        return uses_of(tree, name) == len(values[name]) + sum(_mentions(value, name) for value in every)

    return {name: values[name] for name in nodes.keys() - _LISTS if _is_bound_once(nodes[name]) and is_only_added(name)}


def _bindings(tree: ast.Module) -> dict[str, list[ast.stmt]]:
    """The statements at the top level that bind each name."""
    nodes: dict[str, list[ast.stmt]] = {}
    for node in tree.body:
        for name in targets_of(node):
            nodes.setdefault(name, []).append(node)
    return nodes


def _is_bound_once(nodes: Sequence[ast.stmt]) -> bool:
    """Whether all statements but the first add to what that one binds."""
    return all(isinstance(node, ast.AugAssign) for node in nodes[1:])


def value_of(node: ast.stmt) -> ast.expr | None:
    """The value that a statement binds; None for one without."""
    return getattr(node, "value", None)


def _is_changed(tree: ast.Module, bound: Sequence[ast.stmt], name: str) -> bool:
    """Whether something else than a binding uses a list: it may take an entry out, or a condition decides."""
    return uses_of(tree, name) > len(bound) + sum(_mentions(value_of(node), name) for node in bound)


def uses_of(tree: ast.Module, name: str) -> int:
    """How often a source has a name, to bind it as well."""
    return sum(isinstance(node, ast.Name) and node.id == name for node in ast.walk(tree))


def _mentions(value: ast.expr | None, name: str) -> int:
    """How often a value adds to a list; a value that does anything else with it counts as another use."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return _mentions(value.left, name) + _mentions(value.right, name)
    if isinstance(value, ast.List | ast.Tuple):
        return sum(_mentions(item.value, name) for item in value.elts if isinstance(item, ast.Starred))
    return int(isinstance(value, ast.Name) and value.id == name)


def _replaces(node: ast.stmt, name: str) -> bool:
    return not isinstance(node, ast.AugAssign) and not _mentions(value_of(node), name)


def served_modules(tree: ast.Module) -> Iterator[str]:
    """The modules that settings name for the requests of a server: of the URLs, and of the application."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            targets = targets_of(node)
            if "ROOT_URLCONF" in targets:
                yield node.value.value
            elif "WSGI_APPLICATION" in targets:
                yield node.value.value.rpartition(".")[0]


def targets_of(node: ast.stmt) -> list[str]:
    """The names that an assignment binds."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


@singledispatch
def texts_in(_value: ast.expr | None, _lists: NamedLists) -> Iterator[tuple[str, int]]:
    """The literal texts of a list or a tuple with their lines, also of several that are added, some by their names."""
    return iter(())


@texts_in.register(ast.BinOp)
def _of_sum(value: ast.BinOp, lists: NamedLists) -> Iterator[tuple[str, int]]:
    if isinstance(value.op, ast.Add):
        yield from texts_in(value.left, lists)
        yield from texts_in(value.right, lists)


@texts_in.register(ast.List)
@texts_in.register(ast.Tuple)
def _of_items(value: ast.List | ast.Tuple, lists: NamedLists) -> Iterator[tuple[str, int]]:
    for item in value.elts:
        if isinstance(item, ast.Constant) and isinstance(item.value, str):
            yield item.value, item.lineno
        elif isinstance(item, ast.Starred):
            yield from texts_in(item.value, lists)


@texts_in.register(ast.Name)
def _of_name(value: ast.Name, lists: NamedLists) -> Iterator[tuple[str, int]]:
    others = {name: values for name, values in lists.items() if name != value.id}
    for part in lists.get(value.id, ()):
        yield from texts_in(part, others)


def _module_of(name: str) -> str:
    """`shop.apps.ShopConfig` is a class of `shop.apps`."""
    module, _, last = name.rpartition(".")
    return module if last[:1].isupper() and module else name
