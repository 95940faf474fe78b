"""What Django loads by name once a start has set it up: its settings, the apps and middleware that they list, their models. Pure."""

from __future__ import annotations

import ast
import functools
import posixpath
from collections.abc import Callable, Iterator, Sequence

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.imports.finder import FileTree, ModuleKind
from buildguard.imports.named_objects import import_of_module, import_of_object
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import absolute_name, modules_named, started_modules
from buildguard.imports.records import ImportStatement
from buildguard.project import django_settings
from buildguard.project.django_names import Sources, app_name, literal_setting, logging_names
from buildguard.project.django_settings import ListedName
from buildguard.project.start_command import StartCommand
from buildguard.project.start_servers import PINS

if TYPE_CHECKING:
    from typing import TypeAlias

_MOST_SETTINGS = 20
_OLD_DJANGO = lazy_pattern(rb"(?mi)^(?:name = \")?django(?:\s*(?:==|~=|<=?)\s*|\"\r?\nversion = \")(?:[12]|3\.[01])\b")
_OTHER_SERVERS = frozenset({"daphne", "channels"})  # with a `runserver` of their own
_APPLICATION = lazy_pattern(rb"\bget_[aw]sgi_application\(")

_NamedImport: TypeAlias = "tuple[tuple[str, str, int], Callable[[str, int], ImportStatement]]"


class DjangoReader:
    """Finds the modules; `read` gives the content of a file of the tree, and `settings_of` the settings that count for a default.

    `finds_tasks` says that a worker of Celery looks for `tasks` in each app.
    """

    def __init__(
        self,
        tree: FileTree,
        folders: Sequence[str],
        read: Callable[[str], bytes | None],
        settings_of: Callable[[StartCommand, str], str],
        *,
        finds_tasks: bool = False,
    ) -> None:
        self._tree = tree
        self._folders = folders
        self._read = read
        self._settings_of = settings_of
        self._finds_tasks = finds_tasks

    def modules(self, command: StartCommand) -> tuple[LoadedModule, ...]:
        """The modules of the project that Django loads for a start command, in their order."""
        names = dict.fromkeys(self._names(command))
        return tuple(
            dict.fromkeys(module for name in names for module in modules_named(name, self._tree, self._folders))
        )

    def imports(self, command: StartCommand) -> tuple[tuple[LoadedModule, ImportStatement], ...]:
        """What Django imports because settings list it: the module of the settings with each import, at the line of its text."""
        return tuple(dict.fromkeys(self._listed(command)))

    def _listed(self, command: StartCommand) -> Iterator[tuple[LoadedModule, ImportStatement]]:
        settings = self._settings_module(command)
        trees = [*self._settings(settings)] if settings else []
        modules = {module.location.file: module for module, _tree in trees}
        sources = [(module.location.file, tree) for module, tree in trees]
        wanted = self._wanted(command, sources)
        yield from ((modules[row.file], _import_of(row)) for row in wanted if not _is_own(row.text))
        apps = [row.text for row in wanted if not row.is_middleware]
        yield from (pair for app in apps for pair in self._configured(app))
        named = self._named(command, sources, apps)
        yield from ((modules[file], make(text, line)) for (file, text, line), make in named if not _is_own(text))

    def _wanted(self, command: StartCommand, sources: Sources) -> list[ListedName]:
        """What settings list, as far as a start loads it."""
        serves = self._serves(command)
        return [row for row in django_settings.listed_names(sources) if serves or not row.is_middleware]

    def _configured(self, app: str) -> Iterator[tuple[LoadedModule, ImportStatement]]:
        """The import of the module that the configuration of an app names."""
        package, _dot, last = app.rpartition(".")
        of_class = last if last[:1].isupper() else ""
        if of_class or self._finds_configs:
            name = package if of_class else f"{app}.apps"
            for module in self._modules_at(name):
                text = app_name(self._parsed(module.location.file) or ast.Module([], []), of_class)
                yield from [(module, import_of_module(*text))] if text is not None else []

    def _modules_at(self, name: str) -> Iterator[LoadedModule]:
        """The module of a dotted name, without the packages above it."""
        return (module for module in modules_named(name, self._tree, self._folders) if module.name == name)

    def _named(self, command: StartCommand, sources: Sources, apps: Sequence[str]) -> Iterator[_NamedImport]:
        """What else the settings name: the file, the text and the line, and the import of each."""
        yield from ((row, import_of_object) for row in logging_names(sources))
        if "runserver" in command.arguments and "--skip-checks" not in command.arguments:
            yield from _served(sources, apps)

    @functools.cached_property
    def _finds_configs(self) -> bool:
        """Whether Django looks for the configuration of an app beside it, as it does from 3.2 on."""
        texts = (self._read(posixpath.join(folder, name)) or b"" for folder in self._folders for name in PINS)
        return not any(map(_OLD_DJANGO.search, texts))

    def _serves(self, command: StartCommand) -> bool:
        """Whether a start makes the application of a server, which loads the middleware: a command such as `migrate` does not."""
        return "runserver" in command.arguments or _APPLICATION.search(self._started(command)) is not None

    def _started(self, command: StartCommand) -> bytes:
        """The source of what sets Django up: a server may load its configuration and other modules beside it."""
        files = [module.location.file for module in started_modules(command, self._tree)]
        sources = [self._read(file) or b"" for file in reversed(files)]
        return next(filter(django_settings.default_settings, sources), b"")

    def _settings_module(self, command: StartCommand) -> str:
        default = django_settings.default_settings(self._started(command))
        return self._settings_of(command, default) if default else ""

    def _names(self, command: StartCommand) -> Iterator[str]:
        settings = self._settings_module(command)
        if settings:
            yield settings
            yield from self._names_in(command, [tree for _module, tree in self._settings(settings)])

    def _names_in(self, command: StartCommand, trees: Sequence[ast.Module]) -> Iterator[str]:
        """The modules that settings list, and those that Django looks for beside them."""
        listed = [name for tree in trees for name, _line in django_settings.listed_modules(tree)]
        yield from listed
        yield from (name for module in listed for name in self._beside(module))
        if "runserver" in command.arguments:  # it checks what it will serve; other servers wait for a request
            yield from (name for tree in trees for name in django_settings.served_modules(tree))

    def _beside(self, module: str) -> Iterator[str]:
        """The modules that Django looks for beside one that settings list."""
        if self._finds_configs:
            yield f"{module}.apps"
        package = module.removesuffix(".apps")
        yield f"{package}.models"
        if self._finds_tasks:
            yield f"{package}.tasks"

    def _settings(self, name: str) -> Iterator[tuple[LoadedModule, ast.Module]]:
        """A settings module with its source, and those that it takes everything from."""
        pending, seen = [name], set[str]()
        while pending and len(seen) < _MOST_SETTINGS:
            module = pending.pop(0)
            location = self._tree.look_up(module, self._folders).last
            if location is None or location.file in {"", *seen}:
                continue
            seen.add(location.file)
            tree = self._parsed(location.file)
            if tree is not None:
                package = module if location.kind is ModuleKind.PACKAGE else module.rpartition(".")[0]
                pending += _starred(tree, package)
                yield LoadedModule(module, location), tree

    def _parsed(self, file: str) -> ast.Module | None:
        try:
            return ast.parse(self._read(file) or b"")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _served(sources: Sources, apps: Sequence[str]) -> Iterator[_NamedImport]:
    """The URLs and the application that Django's own server loads."""
    urls, application = (literal_setting(sources, name) for name in ("ROOT_URLCONF", "WSGI_APPLICATION"))
    if urls is not None:
        yield urls, import_of_module
    if application is not None and _OTHER_SERVERS.isdisjoint(apps):
        yield application, import_of_object


def _import_of(row: ListedName) -> ImportStatement:
    """The import that a text stands for: a middleware is a name of a module, and so is `shop.apps.ShopConfig`."""
    is_object = row.is_middleware or row.text.rpartition(".")[2][:1].isupper()
    return (import_of_object if is_object else import_of_module)(row.text, row.line)


def _is_own(text: str) -> bool:
    """Whether a text names a part of Django, or no module at all."""
    return text.startswith("django.") or not all(map(str.isidentifier, text.split(".")))


def _starred(tree: ast.Module, package: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield absolute_name(node.module or "", node.level, package)
