"""What a Celery application names for its workers to load: task modules, packages that are searched, its settings. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.project.django_settings import NamedLists, named_lists, texts_in, uses_of

if TYPE_CHECKING:
    from typing import TypeAlias

_KEYS = ("imports", "include")
_CLASSES = frozenset({"Celery", "celery.Celery"})

Text: TypeAlias = "tuple[str, int]"


class CeleryListing(NamedTuple):
    """What a source sets for its application: texts with their lines.

    `tasks` are modules that a worker imports. `packages` are pairs of a package and the name of the module that is looked for
    in it, which may be missing; the name is empty for the package itself. `finds_all` says that the packages are those of Django's
    apps. `config` is the module or object that has the settings, and `style` the prefix of their names there. `keys` are
    the settings that the source itself has.
    """

    name: str
    tasks: tuple[Text, ...] = ()
    packages: tuple[tuple[Text, str], ...] = ()
    finds_all: bool = False
    config: Text | None = None
    style: str = ""
    keys: frozenset[str] = frozenset()


def read_listing(tree: ast.Module) -> CeleryListing | None:
    """What a source sets for the one application that it makes at its top level; None where it makes none, or several."""
    made = _made_once(tree)
    if made is None:
        return None
    name, call = made
    config, style = _config(tree, name)
    return CeleryListing(
        name, *_listed_by(tree, name, call), config, style, frozenset(key for key in _KEYS if _mentions(tree, key))
    )


def _listed_by(
    tree: ast.Module, name: str, made: ast.Call
) -> tuple[tuple[Text, ...], tuple[tuple[Text, str], ...], bool]:
    """The task modules, the packages that are searched, and whether those are Django's apps."""
    sure = [*_sure_values(tree, name, made)]
    searched = [*_calls_of(tree, name, "autodiscover_tasks")]
    lists = named_lists(tree, *sure, *(value for search in searched for value in search.args[:1]))
    tasks = tuple(text for value in sure for text in texts_in(value, lists))
    packages = tuple(pair for search in searched for pair in _packages(search, lists))
    return tasks, packages, any(map(_finds_all, searched))


def read_config(tree: ast.Module, style: str, without: Iterable[str]) -> tuple[Text, ...]:
    """The task modules that a module of settings lists, but for the settings that something else has as well."""
    lists = named_lists(tree)
    names = ([style + key.upper()] if style else [key, f"CELERY_{key.upper()}"] for key in _KEYS if key not in without)
    values = (_bound_once(tree, of_key) for of_key in names)
    return tuple(text for value in values for text in texts_in(value, lists))


def _bound_once(tree: ast.Module, names: Sequence[str]) -> ast.expr | None:
    """The value of one of some names, where a source has no other use of them."""
    bound = [node for node in tree.body if isinstance(node, ast.Assign) and _targets(node, names)]
    return bound[0].value if bound and sum(uses_of(tree, name) for name in names) == 1 else None


def _made_once(tree: ast.Module) -> tuple[str, ast.Call] | None:
    """The name of the only application that a source makes, and the call that makes it."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_class(node.func)]
    names = [name for node in tree.body for name in _name_of(node, calls)]
    is_one = len(calls) == len(names) == 1 and _bindings(tree, names[0]) == 1
    return (names[0], calls[0]) if is_one else None


def _sure_values(tree: ast.Module, name: str, made: ast.Call) -> Iterator[ast.expr]:
    """The values of the settings that a source sets once."""
    for key in _KEYS:
        values = [*_values(tree, name, made, key)]
        if len(values) == 1 and _mentions(tree, key) == 1:
            yield values[0]


def _is_class(function: ast.expr) -> bool:
    return isinstance(function, ast.Name | ast.Attribute) and ast.unparse(function) in _CLASSES


def _name_of(node: ast.stmt, calls: Sequence[ast.Call]) -> Iterator[str]:
    """The name that a statement binds to one of some calls."""
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value in calls:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _bindings(tree: ast.Module, name: str) -> int:
    return sum(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store) for node in ast.walk(tree)
    )


def _targets(node: ast.Assign, names: Sequence[str]) -> bool:
    return any(isinstance(target, ast.Name) and target.id in names for target in node.targets)


def _values(tree: ast.Module, name: str, made: ast.Call, key: str) -> Iterator[ast.expr]:
    """What the statements at the top level set for a key of the settings."""
    updates = (
        [made, *_calls_of(tree, name, "conf.update")] if key == "include" else _calls_of(tree, name, "conf.update")
    )
    yield from (word.value for call in updates for word in call.keywords if word.arg == key)
    assigned = (node for node in tree.body if isinstance(node, ast.Assign))
    yield from (node.value for node in assigned if ast.unparse(node.targets[0]) == f"{name}.conf.{key}")


def _mentions(tree: ast.Module, key: str) -> int:
    """How often a source may set a key: more than once where one setting may replace another."""
    names = {key, f"CELERY_{key.upper()}"}

    def is_mention(node: ast.AST) -> bool:
        texts = (getattr(node, field, None) for field in ("attr", "arg", "value"))
        return any(isinstance(text, str) and text in names for text in texts)

    return sum(map(is_mention, ast.walk(tree)))


def _calls_of(tree: ast.Module, name: str, method: str) -> Iterator[ast.Call]:
    """The calls of a method of the application that are statements of their own at the top level."""
    for node in tree.body:
        call = node.value if isinstance(node, ast.Expr) else None
        if (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and ast.unparse(call.func) == f"{name}.{method}"
        ):
            yield call


def _packages(call: ast.Call, lists: NamedLists) -> Iterator[tuple[Text, str]]:
    """The packages of `autodiscover_tasks(["shop"], related_name="jobs")`, and the module that it looks for in each."""
    named = {word.arg: word.value for word in call.keywords}
    listed = call.args[0] if call.args else named.get("packages")
    related = call.args[1] if len(call.args) > 1 else named.get("related_name", ast.Constant("tasks"))
    if isinstance(related, ast.Constant):
        part = _literal(related)
        yield from ((text, part) for text in texts_in(listed, lists))


def _finds_all(call: ast.Call) -> bool:
    """Whether it looks for `tasks` in each of Django's apps."""
    words = [ast.unparse(value) for value in (*call.args, *(word.value for word in call.keywords))]
    return words in ([], ["lambda: settings.INSTALLED_APPS"], ["settings.INSTALLED_APPS"])


def _config(tree: ast.Module, name: str) -> tuple[Text | None, str]:
    """The literal text of the only `config_from_object` of a source, with the prefix of the settings' names."""
    calls = [*_calls_of(tree, name, "config_from_object")]
    uses = sum(isinstance(node, ast.Attribute) and node.attr.startswith("config_from_") for node in ast.walk(tree))
    if len(calls) != 1 or uses != 1 or not _is_plain(calls[0]):
        return None, ""
    text = calls[0].args[0]
    style = "".join(_literal(word.value) for word in calls[0].keywords).upper()
    return (_literal(text), text.lineno), f"{style}_" if style else ""


def _is_plain(call: ast.Call) -> bool:
    """Whether a call has a literal text, and at most a literal namespace beside it."""
    names = [word.arg for word in call.keywords]
    return (
        names in ([], ["namespace"])
        and len(call.args) == 1
        and all(map(_literal, [*call.args, *(word.value for word in call.keywords)]))
    )


def _literal(node: ast.expr) -> str:
    """A literal text; empty for anything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
