"""What a worker of Celery loads by name when it starts: the modules that its application lists. Pure."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.imports.finder import FileTree
from buildguard.imports.named_objects import import_of_module, import_of_object
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import absolute_name, modules_named, started_modules
from buildguard.imports.records import ImportStatement
from buildguard.project.celery_settings import CeleryListing, Text, read_config, read_listing
from buildguard.project.start_command import StartCommand

_COMMANDS = frozenset({"worker", "beat"})  # what loads the tasks; others only send messages
_APPLICATION = b"Celery("
_SETTER = lazy_pattern(
    rb"\bconf\b.*\b(?:imports|include)\b|[\"'](?:imports|include)[\"']|\bCELERY_(?:IMPORTS|INCLUDE)\b"
)


class _Application(NamedTuple):
    """The module that makes an application, what it lists, and the module of its settings with what that lists."""

    module: LoadedModule
    listing: CeleryListing
    config: LoadedModule | None = None
    configured: tuple[Text, ...] = ()


class CeleryReader:
    """Finds the modules that the worker of a start command loads; `read` gives the content of a file of the tree."""

    def __init__(
        self, tree: FileTree, folders: Sequence[str], read: Callable[[str], bytes | None], command: StartCommand
    ) -> None:
        self._tree = tree
        self._folders = folders
        self._read = read
        self._command = command

    @property
    def application(self) -> StartCommand:
        """The start with the module that makes the application: `-A proj` may take it from `proj.celery`."""
        made = self._made
        return self._command if made is None else self._command._replace(module=made.module.name)

    @property
    def finds_all(self) -> bool:
        """Whether the worker looks for `tasks` in each of Django's apps."""
        return self._made is not None and self._made.listing.finds_all

    def modules(self) -> tuple[LoadedModule, ...]:
        """The modules of the project that the worker loads, in their order."""
        modules = (module for name in self._names() for module in modules_named(name, self._tree, self._folders))
        return tuple(dict.fromkeys(modules))

    def imports(self) -> tuple[tuple[LoadedModule, ImportStatement], ...]:
        """What the worker imports because a text names it: the module with the text, and the import at its line."""
        return tuple(dict.fromkeys(self._imports()))

    @functools.cached_property
    def _made(self) -> _Application | None:
        if _COMMANDS.isdisjoint(self._command.arguments):
            return None
        module = self._maker()
        return None if module is None else self._made_by(module)

    def _made_by(self, module: LoadedModule) -> _Application | None:
        listing = read_listing(self._parsed(module))
        return None if listing is None or not self._takes(module, listing) else self._configured(module, listing)

    def _takes(self, module: LoadedModule, listing: CeleryListing) -> bool:
        """Whether the worker takes an application: an attribute of the module that is started may be another one."""
        return module != self._started or self._command.attribute in {"", listing.name}

    @functools.cached_property
    def _started(self) -> LoadedModule | None:
        return next(reversed([*started_modules(self._command, self._tree)]), None)

    def _maker(self) -> LoadedModule | None:
        """The module that makes the application: the one that is started, or the only one that it imports names from."""
        if self._started is None or self._makes(self._started):
            return self._started
        makers = [*filter(self._makes, dict.fromkeys(self._sources_of(self._started)))]
        return makers[0] if len(makers) == 1 else None

    def _sources_of(self, module: LoadedModule) -> Iterator[LoadedModule]:
        """The modules that a module imports names from, as its first statements."""
        for node in self._parsed(module).body:
            if isinstance(node, ast.ImportFrom):
                name = absolute_name(node.module or "", node.level, module.package)
                yield from [*modules_named(name, self._tree, self._folders)][-1:]

    def _makes(self, module: LoadedModule) -> bool:
        return _APPLICATION in (self._read(module.location.file) or b"")

    def _configured(self, module: LoadedModule, listing: CeleryListing) -> _Application:
        """An application with what the module of its settings lists."""
        name = "" if listing.config is None else listing.config[0]
        found = [*modules_named(name, self._tree, self._folders)] if name else []
        if not found or found[-1].name != name:
            return _Application(module, listing)
        return _Application(
            module, listing, found[-1], read_config(self._parsed(found[-1]), listing.style, listing.keys)
        )

    def _parsed(self, module: LoadedModule) -> ast.Module:
        try:
            return ast.parse(self._read(module.location.file) or b"")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ast.Module([], [])

    def _names(self) -> Iterator[str]:
        made = self._made
        if made is None:
            return
        if made.config is not None:
            yield made.config.name
        elif made.listing.config is not None:
            yield made.listing.config[0].rpartition(".")[0]  # the object of a module
        for (package, _line), related in made.listing.packages:
            yield from filter(None, [package, related and f"{package}.{related}"])
        yield from (name for name, _line in (*made.configured, *made.listing.tasks))

    def _imports(self) -> Iterator[tuple[LoadedModule, ImportStatement]]:
        made = self._made
        if made is not None:
            yield from ((made.module, row) for row in _rows_of(made.listing))
            for module, texts in ((made.config, made.configured), (made.module, made.listing.tasks)):
                if module is not None and (self._has_all(texts) or not self._may_be_replaced(made)):
                    yield from ((module, import_of_module(*text)) for text in texts)

    def _has_all(self, texts: Sequence[Text]) -> bool:
        return all(self._tree.look_up(name, self._folders).last is not None for name, _line in texts)

    def _may_be_replaced(self, made: _Application) -> bool:
        """Whether another source may replace a list."""
        own = {module.location.file for module in (made.module, made.config) if module is not None}
        others = (file for file in self._tree.origins if file.endswith(".py") and file not in own)
        return any(_SETTER.search(self._read(file) or b"") for file in others)


def _rows_of(listing: CeleryListing) -> Iterator[ImportStatement]:
    """The imports of the settings, and of the packages that are searched."""
    if listing.config is not None and ":" not in listing.config[0]:
        yield import_of_object(*listing.config)
    # of a dotted package a missing part is ignored
    yield from (import_of_module(*package) for package, _related in listing.packages if "." not in package[0])
