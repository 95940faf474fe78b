"""The variables that a start reads, from its first file on: what it surely needs, what it may need, and what it sets itself."""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Iterable, Iterator, Mapping

from buildguard.definitions import NamedTuple
from buildguard.project.start_command import StartCommand
from buildguard.startup.applications import EntryFile
from buildguard.startup.image_start import ImageStart
from buildguard.startup.modules import search
from buildguard.startup.source_facts import SourceFacts, SourceImport
from buildguard.startup.variables import settings, wrappers
from buildguard.startup.variables.env_files import EnvFile, beside, file_of
from buildguard.startup.variables.lookup import Definition, ModuleLookup
from buildguard.startup.variables.module_reader import read_module
from buildguard.startup.variables.records import CallSite, CodeBlock, ModuleVariables, OpenUse, UnreadUse, VariableRead
from buildguard.startup.walk import ReachedFile, StartWalk


class NeededVariable(NamedTuple):
    """One read of a variable in a file of the project; `at_start` says that the start surely comes to it."""

    path: str
    read: VariableRead
    at_start: bool


class StartVariables(NamedTuple):
    """Everything that a start reads.

    `sets` are names that the code, or a file in the image, sets. `unknown` are reasons why others may be set, or not be needed;
    `unread` are reasons why others may be required.
    """

    needed: tuple[NeededVariable, ...] = ()
    sets: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    unread: tuple[OpenUse, ...] = ()


def read_start(image: ImageStart, start: StartCommand, entry: EntryFile, minor: int) -> StartVariables:
    """What a start command reads of its environment, as far as its sources show it."""
    if any("$" in folder for folder in start.search_path):
        return StartVariables(unknown=("the folders that Python searches are known at run time only",))
    walk = _VariableWalk(image, start, minor)
    walk.walk(entry)
    return _VariableCollector(walk, start).collect(entry)


class _VariableWalk(StartWalk):
    """A walk that keeps what each module reads."""

    def __init__(self, image: ImageStart, start: StartCommand, minor: int) -> None:
        super().__init__(image, start)
        self._minor = minor
        self.image = image
        self.modules: dict[str, ModuleVariables] = {}
        self.shown: dict[str, str] = {}
        self._paths: dict[str, str] = {}  # each call is looked up by every prefix of its name

    def walk(self, entry: EntryFile) -> None:
        for path in self._start.configs:
            placed = self._image.tree.find(path) if path.endswith(".py") else None
            if placed is not None:
                self._reach(ReachedFile(path, placed, ""))
        super().walk(entry)

    def _visit(self, reached: ReachedFile, facts: SourceFacts) -> None:
        if facts.tree is not None:
            self.modules[reached.path] = read_module(facts.tree, self._minor, is_main=reached.is_main)
            self.shown[reached.path] = reached.shown

    def _follow_settings(self, reached: ReachedFile, default: SourceImport) -> None:
        """Django takes the module that the environment names before the one that the code sets."""
        module = self._start.env.get("DJANGO_SETTINGS_MODULE", "") or default.module
        super()._follow_settings(reached, default._replace(module=module))

    def find(self, module: str) -> str:
        """The path of a module among those that were visited; empty for any other."""
        path = self._paths.get(module)
        if path is None:
            path = self._paths[module] = search(self._image, module, self._start.search_path).path
        return path


class _VariableCollector:
    """Follows calls from the modules' own bodies into functions, classes and readers."""

    def __init__(self, walk: _VariableWalk, start: StartCommand) -> None:
        self._walk = walk
        self._start = start
        self._lookup = ModuleLookup(walk.modules, walk.find)
        self._needed: dict[NeededVariable, None] = {}
        self._files: dict[EnvFile, None] = {}
        self._unknown: dict[str, None] = {}
        self._unread: dict[OpenUse, None] = {}
        self._attributes: set[str] = set()  # what the start asks objects for
        self._done: set[Definition] = set()

    def collect(self, entry: EntryFile) -> StartVariables:
        for path, module in self._walk.modules.items():
            self._block(path, module.block, at_start=True)
        self._factory(self._start, entry.path)
        for loaded in self._start.loads:
            self._factory(loaded, self._walk.find(loaded.module))
        for path, module in self._walk.modules.items():
            for name, block in module.functions.items():
                if Definition(path, name) not in self._done:
                    self._block(path, block, at_start=False)
        self._unused_settings()
        for path, module in self._walk.modules.items():
            self._leave_unread(path, (use for name, use in module.properties.items() if name in self._attributes))
        sets = {name for module in self._walk.modules.values() for name in module.sets}
        if any(module.is_open for module in self._walk.modules.values()):
            self._unknown["the code sets variables under computed names"] = None
        sets |= {*self._by_server(), *self._from_files()}
        return StartVariables(tuple(self._needed), frozenset(sets), tuple(self._unknown), tuple(self._unread))

    def _factory(self, start: StartCommand, path: str) -> None:
        name = start.attribute.partition("(")[0]
        if start.is_factory and name and path in self._walk.modules:
            definition = self._lookup.locate(path, name)
            if definition is not None:
                self._enter(definition)

    def _block(self, path: str, block: CodeBlock, *, at_start: bool) -> None:
        for read in block.reads:
            self._need(path, read, at_start=at_start)
        for read in block.later:
            self._need(path, read, at_start=False)
        for site in block.calls:
            self._call(path, site, at_start=at_start and site.is_certain)
        if at_start:
            self._attributes |= block.attributes
            self._leave_unread(path, block.unread)

    def _leave_unread(self, path: str, uses: Iterable[UnreadUse]) -> None:
        self._unread |= dict.fromkeys(OpenUse(self._walk.shown[path], use.line, use.reason) for use in uses)

    def _need(self, path: str, read: VariableRead, *, at_start: bool) -> None:
        self._needed[NeededVariable(self._walk.shown[path], read, at_start)] = None

    def _call(self, path: str, site: CallSite, *, at_start: bool) -> None:
        if self._loads(path, site):
            return
        if site.name in wrappers.OPEN_READERS:
            reason = f"{site.name.partition('.')[0]} reads variables and files by rules of its own"
            self._leave_open(OpenUse(self._walk.shown[path], site.call.lineno, reason), at_start=at_start)
        direct = wrappers.wrapper_of(site.name)
        method = wrappers.method_of(site.name)
        definition = self._lookup.locate(path, site.name) if direct is None else None
        if definition is None and direct is None and site.reader is not None:
            direct, method = wrappers.made_by(site.reader), site.name.partition(".")[2]
        if direct is not None:
            self._wrapped(path, direct, method, site, at_start=at_start)
            return
        if definition is not None:
            self._defined(path, definition, site, at_start=at_start)

    def _leave_open(self, use: OpenUse, *, at_start: bool) -> None:
        """Values may come from elsewhere, and where the start comes to it others may be required as well."""
        self._unknown[str(use)] = None
        if at_start:
            self._unread[use] = None

    def _loads(self, path: str, site: CallSite) -> bool:
        """Whether a call loads a file of variables into the environment; which one is kept."""
        is_loader = site.name in wrappers.LOADERS or site.name.endswith(".read_env")
        if is_loader:
            call, names = site.call, self._walk.modules[path].names
            given = [
                *call.args[:1],
                *(word.value for word in call.keywords if word.arg in {"dotenv_path", "env_file", "path"}),
            ]
            usual = self._usual_file(site, path)
            file = file_of(names, given[0], usual) if given else usual
            if file is not None:
                self._files[file] = None
            else:
                self._unknown[
                    f"{self._walk.shown[path]}:{call.lineno} loads variables of a file whose name is computed"
                ] = None
        return is_loader

    def _usual_file(self, site: CallSite, path: str) -> EnvFile:
        """The file that a loader takes where it is given none."""
        definition = self._lookup.locate(path, site.name)
        objects = self._walk.modules[definition.path].objects if definition is not None else {}
        made = objects.get(definition.name.partition(".")[0]) if definition is not None else None
        wrapper = wrappers.made_by(made) if made is not None else None
        library = (
            wrapper.library if wrapper is not None else wrappers.DJANGO if site.name.startswith("environ.") else ""
        )
        return beside(library, path, climbs=library != wrappers.DJANGO)

    def _defined(self, path: str, definition: Definition, site: CallSite, *, at_start: bool) -> None:
        """A call of something that the project defines."""
        module = self._walk.modules[definition.path]
        first, _, rest = definition.name.partition(".")
        made = module.objects.get(first)
        if made is not None:
            wrapper = wrappers.made_by(made)
            if wrapper is not None:
                self._wrapped(path, wrapper, rest, site, at_start=at_start)
        elif definition.name in module.classes:
            self._instance(definition, site, at_start=at_start)
        elif at_start and not site.is_guarded:
            self._enter(definition)
            self._pass(path, definition, site)

    def _wrapped(self, path: str, wrapper: wrappers.Wrapper, method: str, site: CallSite, *, at_start: bool) -> None:
        read = wrappers.read_call(wrapper, method, site, self._walk.modules[path].names)
        if read is None:
            return
        if wrapper.unknown:
            self._leave_open(OpenUse(self._walk.shown[path], read.line, wrapper.unknown), at_start=at_start)
            at_start = False
        self._files |= dict.fromkeys(wrappers.files_of(wrapper, path))
        self._need(path, read, at_start=at_start)

    def _instance(self, definition: Definition, site: CallSite, *, at_start: bool) -> None:
        """An object of a class is made: its settings are read, or its `__init__` runs."""
        result = settings.read_settings(self._lookup, definition, site.call)
        if result is None:
            if at_start and not site.is_guarded:
                self._enter(self._lookup.method(definition, "__init__"))
            return
        self._done.add(definition)
        self._settings(definition, result, at_start=at_start and not site.is_guarded)

    def _settings(self, definition: Definition, result: settings.SettingsReads, *, at_start: bool) -> None:
        path, name = self._walk.shown[definition.path], definition.name
        if result.unknown:
            self._leave_open(OpenUse(path, None, f"class {name}: {result.unknown}"), at_start=at_start)
        if result.refusal and at_start:
            self._unread[OpenUse(path, None, f"class {name}: {result.refusal}")] = None
        self._files |= dict.fromkeys(result.files)
        for placed in result.reads:
            self._need(placed.path, placed.read, at_start=at_start)

    def _enter(self, definition: Definition) -> None:
        """The body of a function that surely runs, once."""
        block = self._walk.modules[definition.path].functions.get(definition.name)
        if block is not None and definition not in self._done:
            self._done.add(definition)
            self._block(definition.path, block, at_start=True)

    def _pass(self, path: str, definition: Definition, site: CallSite) -> None:
        """What a function reads of the names that a call passes: the call is the place."""
        key = Definition(definition.path, f"{definition.name}({ast.dump(site.call)})")
        if key in self._done:
            return
        self._done.add(key)
        block = self._walk.modules[definition.path].bind(definition.name, site.call)
        if block is not None:
            reads = tuple(read._replace(line=site.call.lineno) for read in block.reads)
            later = tuple(read._replace(line=site.call.lineno) for read in block.later)
            self._block(path, CodeBlock(reads, later), at_start=True)
            self._block(definition.path, CodeBlock(calls=block.calls), at_start=True)

    def _unused_settings(self) -> None:
        """Settings that no start surely makes: what they read belongs to the contract all the same."""
        for path, module in self._walk.modules.items():
            for name in module.classes:
                definition = Definition(path, name)
                result = (
                    settings.read_settings(self._lookup, definition, None) if definition not in self._done else None
                )
                if result is not None and result.reads:
                    self._settings(definition, result._replace(unknown=""), at_start=False)

    def _by_server(self) -> Iterator[str]:
        """What the server itself sets before it loads the application: gunicorn's `raw_env` and `--env`, the files that flask loads."""
        if self._start.server == "flask":
            self._files |= dict.fromkeys(EnvFile((name,), "", "", True, False) for name in (".env", ".flaskenv"))
        if self._start.server != "gunicorn":
            return
        for path in self._start.configs:
            module, content = self._walk.modules.get(path), self._walk.image.read(path) or b""
            pairs = module.names.constants.get("raw_env", ()) if module is not None else ()
            if b"raw_env" in content and not pairs:
                self._unknown[f"{path} sets variables that are not read"] = None
            yield from (pair.partition("=")[0] for pair in pairs)
        words = self._start.arguments
        for word, following in zip(words, (*words[1:], ""), strict=True):
            if word in {"-e", "--env"}:
                yield following.partition("=")[0]
            elif word.startswith("--env="):
                yield word.split("=")[1]

    # -------------------------------------------------------------------------------------- files of variables

    def _from_files(self) -> Iterator[str]:
        """The names that files of variables set, where the image has them; a file that it may have leaves everything open."""
        for file in self._files:
            for path in file.places(self._start.folder):
                content = self._walk.image.read(path)
                if content is not None:
                    yield from file.names(path, content.decode("utf-8", "replace"))
                    break
                else:
                    self._doubt_file(file, path)

    def _doubt_file(self, file: EnvFile, path: str) -> None:
        """A file that the image does not have for certain may be there all the same."""
        reason = self._walk.image.tree.why_unknown(path) if posixpath.dirname(path) not in {"/", ""} else ""
        if file.is_given and file.paths[0].startswith("/") and not reason:
            reason = "it may be mounted"
        if reason:
            self._unknown[f"{path}: {reason}"] = None


def missing(variables: StartVariables, provided: Mapping[str, object]) -> Iterator[NeededVariable]:
    """What a start surely fails without, and nothing provides."""
    every = {*provided, *variables.sets}
    folded = {name.upper() for name in every}
    for needed in variables.needed:
        read = needed.read
        if needed.at_start and read.is_required and not is_given(read, folded if read.any_case else every):
            yield needed


def is_given(read: VariableRead, names: set[str]) -> bool:
    """Whether any of some names (capitals where case does not matter) is one that a read takes."""
    wanted = {name.upper() for name in read.names} if read.any_case else {*read.names}
    if wanted & names:
        return True
    prefix = read.prefix.upper() if read.any_case else read.prefix
    return bool(prefix) and any(name.startswith(prefix) for name in names)
