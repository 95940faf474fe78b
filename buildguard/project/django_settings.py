"""What Django loads when its application starts: the settings, and the apps and middleware that they list. Pure."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping

from buildguard.definitions import lazy_pattern

VARIABLE = "DJANGO_SETTINGS_MODULE"
_LISTS = frozenset({"INSTALLED_APPS", "MIDDLEWARE"})
_SETTERS = (".yaml", ".yml", ".tf", ".tfvars", ".sh", ".mk", "Makefile", ".toml", ".json")
_DEFAULT = lazy_pattern(rb"""\bsetdefault\(\s*["']DJANGO_SETTINGS_MODULE["']\s*,\s*["']([\w.]+)["']\s*,?\s*\)""")


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
    for node in tree.body:
        names = _targets(node)
        if _LISTS.intersection(names) and isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from ((_module_of(text), line) for text, line in _texts(node.value))


def served_modules(tree: ast.Module) -> Iterator[str]:
    """The modules that settings name for the requests of a server: of the URLs, and of the application."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            targets = _targets(node)
            if "ROOT_URLCONF" in targets:
                yield node.value.value
            elif "WSGI_APPLICATION" in targets:
                yield node.value.value.rpartition(".")[0]


def _targets(node: ast.stmt) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _texts(value: ast.expr | None) -> Iterator[tuple[str, int]]:
    """The literal texts of a list or a tuple with their lines, also of several that are added."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        yield from _texts(value.left)
        yield from _texts(value.right)
    elif isinstance(value, ast.List | ast.Tuple):
        for item in value.elts:
            if isinstance(item, ast.Constant) and isinstance(item.value, str):
                yield item.value, item.lineno


def _module_of(name: str) -> str:
    """`shop.apps.ShopConfig` is a class of `shop.apps`."""
    module, _, last = name.rpartition(".")
    return module if last[:1].isupper() and module else name
