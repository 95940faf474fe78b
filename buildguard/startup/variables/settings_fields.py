"""The fields of a settings class of pydantic: names, types and defaults. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from buildguard.definitions import NamedTuple
from buildguard.startup.variables.names import ModuleNames

_SHOWN = 60  # characters of a default


class SettingsField(NamedTuple):
    """A field: its line, its own environment names (None for the usual one), and whether it may be left out.

    `kind` is the full name of its type, empty where that is none; `factory` is what makes its default. `is_none` says that the
    default is None; `default` is its source text.
    """

    path: str
    line: int
    aliases: tuple[str, ...] | None
    is_optional: bool
    kind: str = ""
    factory: str = ""
    is_none: bool = False
    default: str = ""


class NamedField(NamedTuple):
    """A field with its name in the class."""

    name: str
    field: SettingsField


def fields_of(names: ModuleNames, path: str, node: ast.ClassDef, major: int) -> Iterator[NamedField]:
    """The fields of a class body; `major` is the version of pydantic."""
    for item in node.body:
        if not isinstance(item, ast.AnnAssign) or not isinstance(item.target, ast.Name):
            continue
        name, shown = item.target.id, ast.unparse(item.annotation).strip("'\"")
        if name.startswith("_") or name == "model_config" or "ClassVar" in shown or "computed_field" in shown:
            continue
        calls = list(_field_calls(names, item))
        is_optional = _has_default(item, calls)
        if major == 1 and (shown.startswith(("Optional[", "typing.Optional[", "Any")) or "None" in shown):
            is_optional = True
        kind, factory = _kind(names, _without_none(item.annotation)), _factory(names, calls)
        is_none = kind == _kind(names, item.annotation) and _defaults_to_none(item, calls)
        aliases = _aliases(names, calls, major)
        default = _default_text(item, calls)
        field = SettingsField(path, item.lineno, aliases, is_optional, kind, factory, is_none, default)
        yield NamedField(name, field)


def _without_none(annotation: ast.expr) -> ast.expr:
    """The type of `X | None` and `Optional[X]`; any other as it is."""
    if isinstance(annotation, ast.BinOp) and ast.unparse(annotation.right) == "None":
        return annotation.left
    if isinstance(annotation, ast.Subscript):
        name, part = ast.unparse(annotation.value).rpartition(".")[2], annotation.slice
        if name == "Optional":
            return part
        if (
            name == "Union"
            and isinstance(part, ast.Tuple)
            and [ast.unparse(each) for each in part.elts[1:]] == ["None"]
        ):
            return part.elts[0]
    return annotation


def _kind(names: ModuleNames, annotation: ast.expr) -> str:
    """The full name of a field's type; empty for one that is put together."""
    if isinstance(annotation, ast.Subscript) and names.full(annotation.value).endswith("Annotated"):
        part = annotation.slice
        annotation = part.elts[0] if isinstance(part, ast.Tuple) and part.elts else annotation
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str) and annotation.value.isidentifier():
        annotation = ast.Name(annotation.value)
    return names.full(annotation)


def _factory(names: ModuleNames, calls: Sequence[ast.Call]) -> str:
    """The full name of what makes a field's default, also by `lambda: Other()`; empty for anything else."""
    words = (keyword for call in calls for keyword in call.keywords if keyword.arg == "default_factory")
    value = next((word.value for word in words), None)
    if (
        isinstance(value, ast.Lambda)
        and isinstance(value.body, ast.Call)
        and not (value.body.args or value.body.keywords)
    ):
        value = value.body.func
    return names.full(value) if value is not None else ""


def _field_calls(names: ModuleNames, item: ast.AnnAssign) -> Iterator[ast.Call]:
    """The `Field(…)` of a field: its value, and what `Annotated` holds."""
    candidates: list[ast.expr | None] = [item.value]
    if isinstance(item.annotation, ast.Subscript) and names.full(item.annotation.value).endswith("Annotated"):
        part = item.annotation.slice
        candidates += part.elts[1:] if isinstance(part, ast.Tuple) else []
    for candidate in candidates:
        if isinstance(candidate, ast.Call) and names.full(candidate.func).rpartition(".")[2] == "Field":
            yield candidate


def _defaults(item: ast.AnnAssign, calls: Sequence[ast.Call]) -> list[ast.expr]:
    """What a field has as its default, by assignment or in `Field(…)`."""
    given = [item.value] if item.value is not None and item.value not in calls else []
    given += [call.args[0] for call in calls if call.args]
    return given + [word.value for call in calls for word in call.keywords if word.arg == "default"]


def _defaults_to_none(item: ast.AnnAssign, calls: Sequence[ast.Call]) -> bool:
    return any(isinstance(value, ast.Constant) and value.value is None for value in _defaults(item, calls))


def _default_text(item: ast.AnnAssign, calls: Sequence[ast.Call]) -> str:
    return next((ast.unparse(value)[:_SHOWN] for value in _defaults(item, calls)), "")


def _has_default(item: ast.AnnAssign, calls: Sequence[ast.Call]) -> bool:
    if item.value is not None and item.value not in calls:
        return not (isinstance(item.value, ast.Constant) and item.value.value is ...)
    return any(_gives_default(call) for call in calls)


def _gives_default(call: ast.Call) -> bool:
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg in {"default", None})]
    has_factory = any(keyword.arg == "default_factory" for keyword in call.keywords)
    return has_factory or any(not (isinstance(value, ast.Constant) and value.value is ...) for value in given)


def _aliases(names: ModuleNames, calls: Sequence[ast.Call], major: int) -> tuple[str, ...] | None:
    """The names that a field takes in place of its own; empty where they are computed."""
    keys = ("env",) if major == 1 else ("validation_alias", "alias")
    for call in calls:
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        value = next((keywords[key] for key in keys if key in keywords), None)
        if isinstance(value, ast.Call):
            firsts = (
                part.args[0] if isinstance(part, ast.Call) and part.args else part for part in _choices(names, value)
            )
            texts = tuple(map(names.text, firsts))
            return texts if all(texts) else ()
        if value is not None:
            return names.texts(value)
    return None


def _choices(names: ModuleNames, call: ast.Call) -> Sequence[ast.expr]:
    """What `AliasChoices` lists; `AliasPath` is the only one: its first word is the variable's name."""
    return [call] if names.full(call.func).rpartition(".")[2] == "AliasPath" else call.args
