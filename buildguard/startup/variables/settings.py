"""What a settings class of pydantic requires: its fields without a default, with prefix, aliases and nested names. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple
from buildguard.startup.source_nodes import all_nodes
from buildguard.startup.variables.env_files import EnvFile, beside, file_of
from buildguard.startup.variables.lookup import Definition, ModuleLookup
from buildguard.startup.variables.names import ModuleNames, assigned
from buildguard.startup.variables.records import VariableRead
from buildguard.startup.variables.settings_fields import SettingsField, fields_of

_BASES = {"pydantic_settings.BaseSettings": 2, "pydantic.BaseSettings": 1, "pydantic.v1.BaseSettings": 1}
_MODEL_BASES = {"pydantic.BaseModel": 2}
_PLAIN_BASES = frozenset({"object", "abc.ABC", "typing.Generic"})
_CONFIG_CALLS = frozenset({"pydantic_settings.SettingsConfigDict", "pydantic.ConfigDict", "dict"})
# Methods by which a class gets values from elsewhere, or in another way.
_OWN_WAYS = frozenset(
    {"settings_customise_sources", "customise_sources", "__init__", "__new__", "prepare_field_value", "parse_env_var"}
)
# Types of one text each: nothing below them can be given.
_PLAIN_TYPES = frozenset(
    {
        *("str", "int", "float", "bool", "bytes", "pathlib.Path", "decimal.Decimal", "uuid.UUID", "datetime.date"),
        *("pydantic.SecretStr", "pydantic.SecretBytes", "pydantic.PostgresDsn", "pydantic.RedisDsn", "pydantic.AnyUrl"),
        *("pydantic.HttpUrl", "pydantic.AnyHttpUrl", "pydantic.EmailStr", "datetime.datetime", "datetime.timedelta"),
    }
)
_FILLS = frozenset({"model_validator", "root_validator"})
_VALIDATORS = frozenset({*_FILLS, "field_validator", "validator"})
_UNREAD = frozenset({"alias_generator", "secrets_dir", "env_prefix_target"})
_OPEN = "secrets_dir"  # the key for settings that are not read: like this one, they decide where values come from
_DEEPEST = 20


class PlacedValue(NamedTuple):
    """A value of a configuration, with the module that it is in."""

    path: str
    node: ast.expr


class SettingsModel(NamedTuple):
    """A settings class with what it inherits; `unknown` is why what it reads cannot be known, `refusal` what may refuse values."""

    fields: Mapping[str, SettingsField]
    config: Mapping[str, PlacedValue]
    major: int
    unknown: str = ""
    refusal: str = ""


class PlacedRead(NamedTuple):
    """A read, and the path of the module that it is in."""

    path: str
    read: VariableRead


class SettingsReads(NamedTuple):
    """What a settings class reads once an object of it is made; `files` are those that it takes values of.

    `refusal` is what may refuse the values that it gets, and with them a default.
    """

    reads: tuple[PlacedRead, ...] = ()
    files: tuple[EnvFile, ...] = ()
    unknown: str = ""
    refusal: str = ""


def read_settings(
    lookup: ModuleLookup, definition: Definition, call: ast.Call | None, depth: int = 0
) -> SettingsReads | None:
    """What making an object of a class reads; None for a class of anything else."""
    model = class_model(lookup, definition) if depth < _DEEPEST else None
    if model is None:
        return None
    keywords = [keyword.arg or "" for keyword in call.keywords] if call is not None else []
    unknown = model.unknown or ("values are passed that are not read" if "" in keywords else "")
    options = SettingsOptions(lookup, model)
    unknown = unknown or options.unknown
    if unknown or any(word.startswith("_") for word in keywords):
        return SettingsReads(unknown=unknown or "it is made with settings of its own")
    return _read_fields(lookup, model, options, keywords, depth)._replace(refusal=model.refusal)


def _read_fields(
    lookup: ModuleLookup, model: SettingsModel, options: SettingsOptions, keywords: Sequence[str], depth: int
) -> SettingsReads:
    """What the fields read that no keyword gives."""
    wanted = {name: field for name, field in model.fields.items() if name not in keywords and field.aliases != ()}
    reads = [
        PlacedRead(field.path, read)
        for name, field in wanted.items()
        for read in _reads_of(lookup, name, field, options)
    ]
    made = [_made_by_default(lookup, name, field, options, depth) for name, field in wanted.items()]
    every = [*reads, *(read for each in made for read in each.reads)]
    files = [*options.files, *(file for each in made for file in each.files)]
    return SettingsReads(tuple(every), tuple(files), next((each.unknown for each in made if each.unknown), ""))


def _reads_of(
    lookup: ModuleLookup, name: str, field: SettingsField, options: SettingsOptions
) -> Iterator[VariableRead]:
    """What a field takes: its variable, or with a delimiter one for each part of it that has no default."""
    names, delimiter = options.names(name, field.aliases), options.delimiter
    is_nested = bool(delimiter) and field.kind not in _PLAIN_TYPES
    parts = _required_parts(lookup, field, options) if is_nested and not field.is_optional else ()
    fits, is_required = not options.is_case_sensitive, not field.is_optional or options.refuses_none(field)
    for part in parts or [()]:
        longer = tuple(delimiter.join((names[0], *part[:end])) for end in range(len(part), 0, -1))
        every = tuple(each.upper() if fits else each for each in (*longer, *names))
        prefix = f"{names[0]}{delimiter}" if is_nested and not part else ""
        yield VariableRead(
            every,
            field.line,
            "pydantic",
            is_required,
            "" if is_required else field.default,
            fits,
            prefix.upper() if fits else prefix,
        )


def _required_parts(
    lookup: ModuleLookup, field: SettingsField, options: SettingsOptions, depth: int = 0
) -> tuple[tuple[str, ...], ...]:
    """The names, below a field whose type is a model of the project, that must be given; empty where they are unknown or none."""
    definition = lookup.locate(field.path, field.kind) if depth < options.deepest else None
    model = class_model(lookup, definition, bases=_MODEL_BASES) if definition is not None else None
    if model is None or model.unknown or any(part.aliases is not None for part in model.fields.values()):
        return ()
    parts: list[tuple[str, ...]] = []
    for name, part in model.fields.items():
        if not part.is_optional:
            below = _required_parts(lookup, part, options, depth + 1) if part.kind not in _PLAIN_TYPES else ()
            if not below and part.kind not in _PLAIN_TYPES:
                return ()  # what a part of it takes is unknown
            parts += [(name, *rest) for rest in below or [()]]
    return tuple(parts)


def _made_by_default(
    lookup: ModuleLookup, name: str, field: SettingsField, options: SettingsOptions, depth: int
) -> SettingsReads:
    """What `default_factory=Other` reads, where that is a settings class: nothing of it once the field itself is given."""
    definition = lookup.locate(field.path, field.factory)
    result = read_settings(lookup, definition, None, depth + 1) if definition is not None else None
    if result is None:
        return SettingsReads()
    given = tuple(each if options.is_case_sensitive else each.upper() for each in options.names(name, field.aliases))
    reads = (each._replace(read=each.read._replace(names=(*each.read.names, *given))) for each in result.reads)
    return result._replace(reads=tuple(reads))


class SettingsOptions:
    """The configuration of a settings class, as far as it decides names and files."""

    def __init__(self, lookup: ModuleLookup, model: SettingsModel) -> None:
        self._lookup = lookup
        self._config = model.config
        self._refuses_none = model.major > 1 and not self._has("validate_default", False)
        self.delimiter = self._text("env_nested_delimiter")
        self.deepest = 1 if "env_nested_max_split" in model.config else _DEEPEST  # models below each other
        self.is_case_sensitive = self._has("case_sensitive", True)
        self._prefix = self._text("env_prefix")
        self._by_name = self._has("populate_by_name", True) or self._has("validate_by_name", True)
        self.files: tuple[EnvFile, ...] = ()
        self.unknown = self._why_unknown()

    def names(self, name: str, aliases: tuple[str, ...] | None) -> tuple[str, ...]:
        """The variables that a field takes, as they are spelled."""
        usual = (self._prefix + name,)
        if aliases is None:
            return usual
        return (*aliases, *usual) if self._by_name else aliases

    def refuses_none(self, field: SettingsField) -> bool:
        """Whether a field's default is None, which its type does not take: settings check their defaults too."""
        return self._refuses_none and field.is_none and field.kind in _PLAIN_TYPES

    def _text(self, key: str) -> str:
        value = self._config.get(key)
        return self._lookup.modules[value.path].names.text(value.node) if value is not None else ""

    def _has(self, key: str, wanted: object) -> bool:
        value = self._config.get(key)
        return value is not None and isinstance(value.node, ast.Constant) and value.node.value is wanted

    def _why_unknown(self) -> str:
        config = self._config
        strange = next((key for key in config if key in _UNREAD and not _is_nothing(config[key].node)), "")
        if not strange and "validate_by_alias" in config and not self._has("validate_by_alias", True):
            strange = "validate_by_alias"
        if strange:
            return f"its settings have {strange}"
        for key in ("env_prefix", "env_nested_delimiter"):
            if key in config and not _is_nothing(config[key].node) and not self._text(key):
                return f"{key} is computed"
        return "" if self._find_files() else "env_file is computed"

    def _find_files(self) -> bool:
        """Keep the files that are named; false where one is computed."""
        value = self._config.get("env_file")
        if value is None or _is_nothing(value.node):
            return True
        names, usual = self._lookup.modules[value.path].names, beside("", value.path)
        nodes = value.node.elts if isinstance(value.node, ast.List | ast.Tuple) else [value.node]
        files = [file_of(names, node, usual) for node in nodes]
        self.files = tuple(file for file in files if file is not None)
        return None not in files


def _is_nothing(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value in {None, ""}


# ------------------------------------------------------------------------------------------ classes


def class_model(
    lookup: ModuleLookup, definition: Definition, depth: int = 0, bases: Mapping[str, int] = _BASES
) -> SettingsModel | None:
    """A class with everything that it inherits; None where no base of it is one of settings."""
    node = lookup.modules[definition.path].classes.get(definition.name)
    if node is None or depth > _DEEPEST:
        return None
    names = lookup.modules[definition.path].names
    inherited_of = [_base(lookup, definition.path, names.full(base), depth, bases) for base in node.bases]
    known = [base for base in inherited_of if isinstance(base, SettingsModel)]
    if not known:
        return None
    inherited = _merge(known)
    unknown = inherited.unknown or ("it has a base class that is not read" if None in inherited_of else "")
    own_config = _config_of(names, node)
    plain = {*map(_plain_default, node.body)}
    fields = {
        name: field._replace(is_optional=field.is_optional or name in plain) for name, field in inherited.fields.items()
    }
    own = {field.name: field.field for field in fields_of(names, definition.path, node, inherited.major)}
    placed = {key: PlacedValue(definition.path, value) for key, value in own_config.items()}
    config = {**inherited.config, **placed}
    refusal = inherited.refusal or _refusing(names, node)
    return SettingsModel({**fields, **own}, config, inherited.major, unknown or _own_way(names, node), refusal)


def _merge(bases: Sequence[SettingsModel]) -> SettingsModel:
    """What a class inherits of its bases; the first comes before the others."""
    fields: dict[str, SettingsField] = {}
    config: dict[str, PlacedValue] = {}
    for base in reversed(bases):
        fields |= base.fields
        config |= base.config
    unknown = next((base.unknown for base in bases if base.unknown), "")
    refusal = next((base.refusal for base in bases if base.refusal), "")
    return SettingsModel(fields, config, bases[0].major, unknown, refusal)


def _base(
    lookup: ModuleLookup, path: str, full: str, depth: int, bases: Mapping[str, int]
) -> SettingsModel | str | None:
    """A base class: a model, "" for one that has no fields, None for one that is unknown."""
    if full in bases:
        return SettingsModel({}, {}, bases[full])
    if full in _PLAIN_BASES:
        return ""
    definition = lookup.locate(path, full)
    return class_model(lookup, definition, depth + 1, bases) if definition is not None else None


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


def _refusing(names: ModuleNames, node: ast.ClassDef) -> str:
    """The validator of a class that may raise for what is missing; empty without one."""
    for item in node.body:
        if not isinstance(item, ast.FunctionDef):
            continue
        kinds = {names.full(each.func if isinstance(each, ast.Call) else each) for each in item.decorator_list}
        is_validator = not _VALIDATORS.isdisjoint(kind.rpartition(".")[2] for kind in kinds)
        if is_validator and any(isinstance(part, ast.Raise | ast.Assert) for part in all_nodes(item)):
            return f"{item.name} may refuse a default"
    return ""


def _config_of(names: ModuleNames, node: ast.ClassDef) -> dict[str, ast.expr]:
    """What the class's keywords, `model_config = SettingsConfigDict(…)` and `class Config` set."""
    config = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
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
