"""What else Django imports by a literal text when it starts: the name of an app, classes of LOGGING, the URLs. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from buildguard.definitions import TYPE_CHECKING
from buildguard.project.django_settings import targets_of, uses_of, value_of

if TYPE_CHECKING:
    from typing import TypeAlias

_MAKERS = frozenset({"class", "()"})
_SECTIONS = frozenset({"formatters", "filters", "handlers"})

Sources: TypeAlias = "Sequence[tuple[str, ast.Module]]"


def app_name(tree: ast.Module, of_class: str = "") -> tuple[str, int] | None:
    """The literal `name` of an AppConfig with its line, of the only one of a source where no class is given."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    configs = [node for node in classes if node.name == of_class] if of_class else classes
    if len(configs) != 1 or not _is_config(configs[0]) or not (of_class or _makes_all(tree, configs[0])):
        return None
    return _name_of(configs[0])


def _is_config(node: ast.ClassDef) -> bool:
    return "AppConfig" in map(_last_name, node.bases)


def _name_of(config: ast.ClassDef) -> tuple[str, int] | None:
    values = [value_of(node) for node in config.body if "name" in targets_of(node)]
    return _literal(values[0]) if len(values) == 1 else None


def _makes_all(tree: ast.Module, config: ast.ClassDef) -> bool:
    """Whether no other class of a source can be an AppConfig, and it is not excluded."""
    others = [name for name in _imported(tree) if name.endswith("Config") or name == "*"]
    return others == ["AppConfig"] and not any("default" in targets_of(node) for node in config.body)


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (alias.name for alias in node.names)


def _last_name(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))


def literal_setting(sources: Sources, name: str) -> tuple[str, str, int] | None:
    """The file, the text and the line of a setting that is a literal text; None where it may be another one."""
    bound = _bound_once(sources, name)
    text = None if bound is None else _literal(bound[1])
    return None if bound is None or text is None else (bound[0], *text)


def logging_names(sources: Sources) -> Iterator[tuple[str, str, int]]:
    """The classes that a literal LOGGING names for its formatters, filters and handlers."""
    bound = _bound_once(sources, "LOGGING")
    if bound is not None and not any(uses_of(tree, "LOGGING_CONFIG") for _file, tree in sources):
        yield from ((bound[0], *text) for text in _class_names(bound[1]))


def _class_names(value: ast.expr | None) -> Iterator[tuple[str, int]]:
    sections = dict(_items(value))
    if "incremental" not in sections:
        made = (section for name, section in sections.items() if name in _SECTIONS)
        yield from (text for section in made for _name, entry in _items(section) for text in _made_by(entry))


def _made_by(entry: ast.expr) -> Iterator[tuple[str, int]]:
    """The dotted name of what makes an entry of LOGGING."""
    texts = (_literal(value) for key, value in _items(entry) if key in _MAKERS)
    yield from (text for text in texts if text is not None and "." in text[0])


def _bound_once(sources: Sources, name: str) -> tuple[str, ast.expr | None] | None:
    """The file and the value of a name that the first source to use it does nothing with but bind it."""
    file, tree = next(((file, tree) for file, tree in sources if uses_of(tree, name)), ("", ast.Module([], [])))
    values = [value_of(node) for node in tree.body if name in targets_of(node)]
    return (file, values[0]) if len(values) == uses_of(tree, name) == 1 else None


def _items(value: ast.expr | None) -> Iterable[tuple[str, ast.expr]]:
    """The items of a literal dictionary whose keys are texts."""
    pairs = zip(value.keys, value.values, strict=True) if isinstance(value, ast.Dict) else ()
    return [(text[0], item) for key, item in pairs if (text := _literal(key)) is not None]


def _literal(value: ast.expr | None) -> tuple[str, int] | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value, value.lineno
    return None
