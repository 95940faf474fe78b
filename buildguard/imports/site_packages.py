"""The packages of a virtual environment or an image, read as data: PathFinder's rules, and `.pth` files without running them."""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator

from buildguard.definitions import lazy_pattern
from buildguard.imports.finder import FileTree, ModuleKind, ModuleLocation
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound, ImportForm, ImportStatement, ModuleFacts
from buildguard.imports.third_party import PackageAnswer, PackagePresence

# `.pth` files with a line of code that is known to add no module of a package.
_HARMLESS_CODE = lazy_pattern(
    r"_virtualenv|distutils-precedence|a1_coverage|coverage|.*-nspkg|zzz_.*|matplotlib-.*|google_.*-nspkg"
)
_FINDER = lazy_pattern(r"__editable___.+_finder\.py")


class InstalledSource:
    """Answers imports from folders of installed packages.

    `files` are absolute paths; `read` gives the content of one. `words` is what the folders belong to.
    """

    predicted = False

    def __init__(
        self,
        words: str,
        folders: Iterable[str],
        files: Iterable[str],
        read: Callable[[str], bytes | None],
        facts: Callable[[str], ModuleFacts | None],
    ) -> None:
        self.words = words
        self.tree = FileTree(dict.fromkeys(files, ""))
        self._read = read
        self._facts = facts
        self.why_open = ""
        self.folders = tuple(dict.fromkeys(self._with_pth(folders)))
        self._names = NameReader(self.tree, facts, self._follow, lambda _name: False, read)

    def _with_pth(self, folders: Iterable[str]) -> Iterator[str]:
        for folder in folders:
            yield folder
            for child in sorted(self.tree.children(folder)):
                if child.endswith(".pth"):
                    yield from self._lines(folder, child)
                elif _FINDER.fullmatch(child):
                    self.why_open = f"{child} may find further modules"

    def _lines(self, folder: str, name: str) -> Iterator[str]:
        text = (self._read(posixpath.join(folder, name)) or b"").decode("utf-8", "replace")
        for line in map(str.strip, text.splitlines()):
            if line.startswith(("import ", "import\t")):
                if not _HARMLESS_CODE.fullmatch(name.removesuffix(".pth")):
                    self.why_open = f"{name} runs code that may find further modules"
            elif line and not line.startswith("#"):
                path = posixpath.normpath(posixpath.join(folder, line))
                if self.tree.has_folder(path):
                    yield path
                else:
                    self.why_open = f"{name} names {line}, which is not known"

    def ask(self, row: ImportStatement) -> PackageAnswer:
        """Whether the folders hold what an absolute import asks for."""
        lookup = self.tree.look_up(row.module, self.folders)
        if lookup.missing:
            missing = ".".join(row.module.split(".")[: len(lookup.modules) + 1])
            return self._missing(lookup.modules, missing)
        last = lookup.last
        if last is None or row.form is not ImportForm.FROM or row.is_star:
            return PackageAnswer(PackagePresence.PRESENT if last is not None else PackagePresence.UNKNOWN)
        module = LoadedModule(row.module, last)
        answers = {name: self._names.is_bound(module, name) for name in row.names}
        unbound = next((name for name, bound in answers.items() if bound is Bound.NO), "")
        if unbound and not self._may_be_set(module, unbound):
            return PackageAnswer(PackagePresence.NAME_MISSING, unbound, row.module)
        undecided = unbound or Bound.UNKNOWN in answers.values()
        return PackageAnswer(PackagePresence.UNKNOWN if undecided else PackagePresence.PRESENT)

    def _missing(self, modules: tuple[ModuleLocation, ...], missing: str) -> PackageAnswer:
        """Packages may change their `__path__`, or put modules into `sys.modules` themselves."""
        if self.why_open or any(module.kind in {ModuleKind.COMPILED, ModuleKind.UNCLEAR} for module in modules):
            return PackageAnswer(PackagePresence.UNKNOWN, missing, self.why_open)
        if any(self._changes_modules(module.file) for module in modules if module.file):
            return PackageAnswer(PackagePresence.UNKNOWN, missing)
        return PackageAnswer(PackagePresence.MISSING, missing)

    def _changes_modules(self, file: str) -> bool:
        data = self._read(file)
        return data is None or b"__path__" in data or b"sys.modules" in data or b"meta_path" in data

    def _may_be_set(self, module: LoadedModule, name: str) -> bool:
        """Whether another file of the package may set the name as an attribute of the module, as packages do with what they register."""
        folder = posixpath.dirname(module.location.file)
        beside = (posixpath.join(folder, child) for child in self.tree.children(folder) if child.endswith(".py"))
        own = module.name.rpartition(".")[2]
        return self._is_in(beside, _setting_any(own)) or self._is_in(
            self._sources(self._root_of(module)), _setting(name)
        )

    def _is_in(self, files: Iterable[str], pattern: re.Pattern[bytes]) -> bool:
        return any(pattern.search(data) for file in files if (data := self._read(file)) is not None)

    def _root_of(self, module: LoadedModule) -> str:
        """The folder of the top-level package that a module is in; its own folder where that is not so."""
        root = folder = posixpath.dirname(module.location.file)
        top = module.name.partition(".")[0]
        while posixpath.basename(root) not in {top, ""}:
            root = posixpath.dirname(root)
        return root if posixpath.basename(root) else folder

    def _sources(self, folder: str) -> Iterator[str]:
        """Every source in a folder and those below it."""
        for child in self.tree.children(folder):
            path = posixpath.join(folder, child)
            if child.endswith(".py"):
                yield path
            elif self.tree.has_folder(path):
                yield from self._sources(path)

    def _follow(self, module: LoadedModule, row: ImportStatement) -> LoadedModule | None:
        parts = module.package.split(".") if row.level else []
        if row.level > len(parts) or (row.level and not parts):
            return None
        base = parts[: len(parts) - row.level + 1] if row.level else []
        dotted = ".".join([*base, *([row.module] if row.module else [])])
        last = self.tree.look_up(dotted, self.folders).last
        return None if last is None else LoadedModule(dotted, last)


@functools.lru_cache(64)
def _setting(name: str) -> re.Pattern[bytes]:
    """What finds a statement that sets an attribute of that name."""
    word = re.escape(name.encode())
    return re.compile(rb"\.%s\s{0,200}(?::[^=\n]{1,200})?=(?!=)|setattr\([^\n]{0,200}[\"']%s[\"']" % (word, word))


@functools.lru_cache(64)
def _setting_any(module: str) -> re.Pattern[bytes]:
    """What finds a statement that sets a computed attribute of what may be a module of that name, or puts another one in its place."""
    own = re.escape(module.encode())
    return re.compile(
        rb"setattr\(\s{0,99}(?:[^,\n]{0,200}\bmodules\b[^,\n]{0,200}|\w{0,99}mod(?:ule)?\w{0,99}|(?:\w{1,99}\.){0,9}%s)\s{0,99},|\bmodules\[[^\]\n]{0,200}\]\s{0,99}=|\bf_globals\b"
        % own
    )
