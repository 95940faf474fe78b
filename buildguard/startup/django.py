"""What Django loads when its application starts: the settings, and the apps and middleware that they list."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from buildguard.startup.image_start import ImageStart

VARIABLE = "DJANGO_SETTINGS_MODULE"
_LISTS = frozenset({"INSTALLED_APPS", "MIDDLEWARE"})
_SETTERS = (".yaml", ".yml", ".tf", ".tfvars", ".sh", ".mk", "Makefile", ".toml", ".json")


def settings_module(image: ImageStart, env: Mapping[str, str], default: str) -> str:
    """The settings that a start reads: the image's own variable, else the default of the code; empty where a deploy sets it."""
    paths = image.files.named(_may_set)
    image.files.load(paths)
    if any(VARIABLE.encode() in (image.files.read(path) or b"") for path in paths):
        return ""
    module = env.get(VARIABLE, default)
    return "" if "$" in module else module


def _may_set(path: str) -> bool:
    return path.endswith(_SETTERS) and not path.endswith(("package.json", "lock.json"))


def listed_modules(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The modules of the apps and the middleware that settings list at their top level, each with its line."""
    for node in tree.body:
        names = _targets(node)
        if _LISTS.intersection(names) and isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign):
            yield from ((_module_of(text), line) for text, line in _texts(node.value))


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
