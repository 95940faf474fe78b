"""What a settings class of pydantic requires: its fields without a default, with prefix, aliases and nested names. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple
from buildguard.startup.variables.lookup import Definition, ModuleLookup
from buildguard.startup.variables.names import ModuleNames, assigned
from buildguard.startup.variables.records import VariableRead

_BASES = {"pydantic_settings.BaseSettings": 2, "pydantic.BaseSettings": 1, "pydantic.v1.BaseSettings": 1}
_PLAIN_BASES = frozenset({"object", "abc.ABC", "typing.Generic"})
_CONFIG_CALLS = frozenset({"pydantic_settings.SettingsConfigDict", "pydantic.ConfigDict", "dict"})
# Methods by which a class gets values from elsewhere, or in another way.
_OWN_WAYS = frozenset(
    {"settings_customise_sources", "customise_sources", "__init__", "__new__", "prepare_field_value", "parse_env_var"}
)
_FILLS = frozenset({"model_validator", "root_validator"})
_UNREAD = frozenset({"alias_generator", "secrets_dir", "env_parse_none_str", "env_prefix_target"})
_OPEN = "secrets_dir"  # the key for settings that are not read: like this one, they decide where values come from
_DEEPEST = 20


class SettingsField(NamedTuple):
    """A field: its line, its own environment names (None for the usual one), and whether it may be left out."""

    path: str
    line: int
    aliases: tuple[str, ...] | None
    is_optional: bool


class SettingsModel(NamedTuple):
    """A settings class with what it inherits; `unknown` is why what it reads cannot be known."""

    fields: Mapping[str, SettingsField]
    config: Mapping[str, ast.expr]
    major: int
    unknown: str = ""


class PlacedRead(NamedTuple):
    """A read, and the path of the module that it is in."""

    path: str
    read: VariableRead


class SettingsReads(NamedTuple):
    """What a settings class reads once an object of it is made; `files` are those that it takes values of."""

    reads: tuple[PlacedRead, ...] = ()
    files: tuple[str, ...] = ()
    unknown: str = ""


def read_settings(lookup: ModuleLookup, definition: Definition, call: ast.Call | None) -> SettingsReads | None:
    """What making an object of a class reads; None for a class of anything else."""
    model = _model(lookup, definition)
    if model is None:
        return None
    keywords = {keyword.arg for keyword in call.keywords} if call is not None else set()
    if model.unknown or None in keywords:
        return SettingsReads(unknown=model.unknown or "values are passed that are not read")
    options = _Options(lookup.modules[definition.path].names, model.config)
    if options.unknown or any(word is not None and word.startswith("_") for word in keywords):
        return SettingsReads(unknown=options.unknown or "it is made with settings of its own")
    reads = tuple(
        PlacedRead(field.path, _read_of(name, field, options))
        for name, field in model.fields.items()
        if name not in keywords and field.aliases != ()
    )
    return SettingsReads(reads, options.files)


def _read_of(name: str, field: SettingsField, options: _Options) -> VariableRead:
    usual = options.prefix + name
    names = (usual,) if field.aliases is None else field.aliases
    if field.aliases is not None and options.by_name:
        names = (*names, usual)
    if not options.is_case_sensitive:
        names = tuple(dict.fromkeys(each.upper() for each in names))
    prefix = f"{names[0]}{options.delimiter}" if options.delimiter else ""
    return VariableRead(names, field.line, "pydantic", not field.is_optional, "", not options.is_case_sensitive, prefix)


class _Options:
    """The configuration of a settings class, as far as it decides names."""

    def __init__(self, names: ModuleNames, config: Mapping[str, ast.expr]) -> None:
        texts = {key: names.text(value) for key, value in config.items()}
        self.prefix = texts.get("env_prefix", "")
        self.delimiter = texts.get("env_nested_delimiter", "")
        self.is_case_sensitive = _is_true(config.get("case_sensitive"))
        self.by_name = any(_is_true(config.get(key)) for key in ("populate_by_name", "validate_by_name"))
        self.files = names.texts(config["env_file"]) if "env_file" in config else ()
        self.unknown = self._why_unknown(names, config)

    def _why_unknown(self, names: ModuleNames, config: Mapping[str, ast.expr]) -> str:
        strange = next((key for key in config if key in _UNREAD and not _is_nothing(config[key])), "")
        if strange:
            return f"its settings have {strange}"
        for key in ("env_prefix", "env_nested_delimiter", "env_file"):
            value = config.get(key)
            if value is not None and not _is_nothing(value) and not names.texts(value):
                return f"{key} is computed"
        return ""


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _is_nothing(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in {None, ""}


# ------------------------------------------------------------------------------------------ classes


def _model(lookup: ModuleLookup, definition: Definition, depth: int = 0) -> SettingsModel | None:
    """A class with everything that it inherits; None where no base of it is one of settings."""
    node = lookup.modules[definition.path].classes.get(definition.name)
    if node is None or depth > _DEEPEST:
        return None
    names = lookup.modules[definition.path].names
    bases = [_base(lookup, definition.path, names.full(base), depth) for base in node.bases]
    known = [base for base in bases if isinstance(base, SettingsModel)]
    if not known:
        return None
    inherited = _merge(known)
    unknown = inherited.unknown or ("it has a base class that is not read" if None in bases else "")
    keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
    fields = {**inherited.fields}
    for name in map(_plain_default, node.body):
        if name in fields:
            fields[name] = fields[name]._replace(is_optional=True)
    own = {field.name: field.field for field in _fields(names, definition.path, node, inherited.major)}
    config = {**inherited.config, **keywords, **_config_of(names, node)}
    return SettingsModel({**fields, **own}, config, inherited.major, unknown or _own_way(names, node))


def _merge(bases: Sequence[SettingsModel]) -> SettingsModel:
    """What a class inherits of its bases; the first comes before the others."""
    fields: dict[str, SettingsField] = {}
    config: dict[str, ast.expr] = {}
    for base in reversed(bases):
        fields |= base.fields
        config |= base.config
    return SettingsModel(fields, config, bases[0].major, next((base.unknown for base in bases if base.unknown), ""))


def _base(lookup: ModuleLookup, path: str, full: str, depth: int) -> SettingsModel | str | None:
    """A base class: a model, "" for one that has no fields, None for one that is unknown."""
    if full in _BASES:
        return SettingsModel({}, {}, _BASES[full])
    if full in _PLAIN_BASES:
        return ""
    definition = lookup.locate(path, full)
    return _model(lookup, definition, depth + 1) if definition is not None else None


def _plain_default(node: ast.stmt) -> str:
    """The name that a class body assigns a value without an annotation: a default for a field that it inherits."""
    return assigned(node)[0] or "" if isinstance(node, ast.Assign) else ""


def _own_way(names: ModuleNames, node: ast.ClassDef) -> str:
    """Why a class may get values in another way than its fields say."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            if item.name in _OWN_WAYS:
                return f"it has {item.name}"
            for decorator in item.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                name = names.full(call.func if call is not None else decorator).rpartition(".")[2]
                if (
                    name in _FILLS
                    and call is not None
                    and ("before" in ast.unparse(call) or "pre=" in ast.unparse(call))
                ):
                    return f"{item.name} may fill its fields"
    return ""


def _config_of(names: ModuleNames, node: ast.ClassDef) -> dict[str, ast.expr]:
    """What `model_config = SettingsConfigDict(…)` and `class Config` set."""
    config: dict[str, ast.expr] = {}
    for item in node.body:
        name, value = assigned(item)
        if name == "model_config" and value is not None:
            config |= _of_assigned(names, value)
        elif isinstance(item, ast.ClassDef) and item.name == "Config":
            config |= {key: part for key, part in map(assigned, item.body) if key is not None and part is not None}
            if item.bases or "fields" in config:
                config[_OPEN] = ast.Name("Config")
    return config


def _of_assigned(names: ModuleNames, value: ast.expr) -> dict[str, ast.expr]:
    """What a value of `model_config` sets; of one that is built elsewhere it is unknown."""
    if isinstance(value, ast.Call) and names.full(value.func) in _CONFIG_CALLS:
        return {keyword.arg or _OPEN: keyword.value for keyword in value.keywords}
    if isinstance(value, ast.Dict):
        return {names.text(key) or _OPEN: part for key, part in zip(value.keys, value.values, strict=True)}
    return {_OPEN: value}


# ------------------------------------------------------------------------------------------ fields


class _NamedField(NamedTuple):
    name: str
    field: SettingsField


def _fields(names: ModuleNames, path: str, node: ast.ClassDef, major: int) -> Iterator[_NamedField]:
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
        yield _NamedField(name, SettingsField(path, item.lineno, _aliases(names, calls, major), is_optional))


def _field_calls(names: ModuleNames, item: ast.AnnAssign) -> Iterator[ast.Call]:
    """The `Field(…)` of a field: its value, and what `Annotated` holds."""
    candidates: list[ast.expr | None] = [item.value]
    if isinstance(item.annotation, ast.Subscript) and names.full(item.annotation.value).endswith("Annotated"):
        part = item.annotation.slice
        candidates += part.elts[1:] if isinstance(part, ast.Tuple) else []
    for candidate in candidates:
        if isinstance(candidate, ast.Call) and names.full(candidate.func).rpartition(".")[2] == "Field":
            yield candidate


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
            texts = tuple(map(names.text, value.args))
            return texts if all(texts) else ()
        if value is not None:
            return names.texts(value)
    return None
