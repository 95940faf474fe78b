"""Why a module may have other names than its source shows: what rewrites the file, and what sets names from outside. Pure.

Texts are searched for statements and commands that could do it. None of them is executed or followed: they cast a doubt, no more.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cached_property

from buildguard.definitions import TYPE_CHECKING, NamedTuple, lazy_pattern
from buildguard.imports.faults import FaultKind, ImportFault
from buildguard.imports.program import is_test, last_word
from buildguard.imports.records import ImportForm

if TYPE_CHECKING:
    from buildguard.imports.doubts import ProjectTexts

# What is searched of a text is a line, and no more of it than this: whoever writes a repository also writes its lines.
_LONGEST = 2000
_MOST_NAMED = 200  # places in build files that name one source
_IN_QUOTES = lazy_pattern(rb"'[^'\n]*'|\"(?!\$\{?\w+\}?\")[^\"\n]*\"")
_SEPARATORS = lazy_pattern(rb"[;&|]")
_COMMAND = lazy_pattern(rb"\b(?:sed|perl|g?awk|tee|patch|ed|ex|truncate|curl|wget|cp|mv|ln|install|rsync)\b")
_EDITORS = frozenset({b"sed", b"perl", b"awk", b"gawk"})
_FETCHERS = frozenset({b"curl", b"wget"})
_COPIERS = frozenset({b"cp", b"mv", b"ln", b"install", b"rsync"})
_IN_PLACE = lazy_pattern(rb"\s-(?:\w*i\b|\w*i[.\s]|-in-place)")
_TO_FILE = lazy_pattern(rb"\s-(?:\w*[oO]|-output[\w-]*)[ =]?\Z")
_REDIRECTION = lazy_pattern(rb"(?:>[ \t]*|\bof=)[\"']?\Z")
_IN_PATH = bytes(code for code in range(33, 127) if code not in b"'\";&|=>()[],")
_IN_WORD, _IN_NAME = lazy_pattern(rb"[\w.-]"), lazy_pattern(rb"[\w.]")
_LAST = lazy_pattern(rb"[\"']?[ \t]*(?:[;&|\r\n\"')\]]|\Z)")
# Commands for whatever sources there are: by a pattern of the shell, for what `find` or a loop names, or from a patch.
_EVERY_FILE = lazy_pattern(rb"[\s/]\*(?:\.py)?[\s;)\"']|\{\}|\$\{?(?:f|file|path|i)\}?[\s;)\"']|\bxargs\b")
_PATCHES = lazy_pattern(rb"\bpatch[ \t]+(?:-p\d|<|-i)|\bgit[ \t]+(?:apply|am)\b|\bquilt[ \t]+push\b|\b2to3\b")
_OTHER_FILES = lazy_pattern(rb"\*\.(?!py\b)\w")
_PATH = lazy_pattern(rb"(?<![\w./-])[\w./-]{1,200}\.py\b")
# An attribute with a computed name is set, of anything but the object whose method does it.
_SETATTR = rb"setattr\(\s*(?!self\b|cls\b)[\w.\[\]\"']+\s*,\s*(?!\s|[\"'][^\"'\n]*[\"']\s*,)"
_SETS_COMPUTED = lazy_pattern(_SETATTR + rb"|(?:__dict__|vars\([^()\n]*\))(?:\[|\.(?:update|setdefault)\()")
_ANY_MODULE = lazy_pattern(rb"\bmodules\s*(?:\[\s*(?!__name__|[\"'])|\.get\()|\bgetmodule\(")
_ANY_GLOBALS = lazy_pattern(
    rb"(?m)\b(?:f_globals|__globals__)(?:\[[^\]\n]+\]\s*=(?!=)|\.(?:update|setdefault)\()|^[ \t]*\w+\s*=\s*[^\n#]*\b(?:f_globals|__globals__)[ \t]*$"
)
_FUNCTION = lazy_pattern(rb"\bdef\s+(\w+)")
_REGISTERS = lazy_pattern(
    rb"\bmodules\[[ \t]*([^\]\n]{1,200}?)[ \t]*\]\s*=(?!=)|\bmodules\.(?:setdefault|update|__setitem__)\(([^\n]{0,200})"
    rb"|\b(?:setitem|patch\.dict)\(([^\n]{0,200}?\bmodules\b[^\n]{0,200})"
)
_QUOTED = lazy_pattern(rb"[\"']([\w.]+)[\"']")
_LITERAL = lazy_pattern(rb"[\"'][\w.]+[\"']")
# What imports modules by names that a text does not show, or sets a framework up that does.
_IMPORTS_COMPUTED = lazy_pattern(
    rb"\b(?:import_module|__import__)\((?!\s*[\"'][\w.]*[\"']\s*[,)])|\b(?:exec_module|load_module|import_string)\("
    rb"|\bdjango\.setup\(|\bget_[aw]sgi_application\("
)
_BY_ORDER = frozenset({FaultKind.CIRCULAR, FaultKind.UNLOADED, FaultKind.EARLY})  # what is imported before decides
_SETTERS = (b"setattr(", b"__dict__", b"vars(")
_IMPORTING = (b"import_module", b"__import__", b"exec_module", b"load_module", b"import_string", b"django")


class _SetPlace(NamedTuple):
    """A name that may be set as an attribute, a module of which any may be, or a submodule that a text may have imported."""

    word: bytes
    is_module: bool = False
    is_text: bool = False

    @property
    def shown(self) -> str:
        """What sources do to it."""
        if self.is_text:
            return f"names {self.word.decode()} in a text, and may import it so"
        return f"sets {'computed attributes of' if self.is_module else 'an attribute'} {self.word.decode()}"


class _Marks:
    """What the sources of a project may do to modules, each noted with the first of them that does."""

    def __init__(self) -> None:
        self.setting: list[str] = []  # files that set names of whatever module calls them
        self.functions: set[bytes] = set()  # those in sources that set computed names of an object
        self.registered: set[bytes] = set()  # dotted names that are put into sys.modules
        self.registered_words: set[bytes] = set()  # what such a name may end with
        self.importing: list[str] = []  # files that import by computed names
        self.writing: dict[str, list[bytes]] = {}  # files that write, with the paths of sources that they name

    def note(self, path: str, data: bytes) -> None:
        """Note what a source may do."""
        if self._note_functions(data) or (b"globals" in data and _ANY_GLOBALS.search(data)):
            self.setting.append(path)
        if b"modules" in data:
            self._note_registered(data)
        if any(word in data for word in _IMPORTING) and _IMPORTS_COMPUTED.search(data):
            self.importing.append(path)
        if b"write" in data and b".py" in data:
            self.writing[path] = _PATH.findall(data)

    def _note_functions(self, data: bytes) -> bool:
        """Note functions that may set names of what they get; whether one may get any module by itself."""
        if not any(word in data for word in _SETTERS) or not _SETS_COMPUTED.search(data):
            return False
        self.functions.update(_FUNCTION.findall(data))
        return _ANY_MODULE.search(data) is not None

    def _note_registered(self, data: bytes) -> None:
        keys = {key for keys in _REGISTERS.findall(data) for key in keys if key} - {b"__name__"}
        literal = {key for key in keys if _LITERAL.fullmatch(key)}
        self.registered.update(key[1:-1] for key in literal)
        if keys - literal:  # the name is among the texts of the source
            self.registered_words.update(text.rpartition(b".")[2] for text in _QUOTED.findall(data))


class _PlaceSearch:
    """Looks in one source after the other for what sets some places."""

    def __init__(self, places: Iterable[_SetPlace]) -> None:
        self._left = {place: _setting(place) for place in places}
        self._passing = {place: _passing(place.word) for place in self._left if place.is_module}
        self._called: dict[_SetPlace, set[bytes]] = {place: set() for place in self._left}  # what a module is passed to
        self._found: set[_SetPlace] = set()

    def look(self, data: bytes) -> None:
        """Look in a source."""
        for place in [place for place in self._left if place.word in data]:
            if self._left[place].search(data):
                self._found.add(place)
                del self._left[place]
            elif place in self._passing:
                self._called[place].update(self._passing[place].findall(data))

    def results(self, functions: set[bytes]) -> dict[_SetPlace, bool]:
        """Whether each place is set, by itself or by some functions that get the module."""
        return {
            place: place in self._found or not called.isdisjoint(functions) for place, called in self._called.items()
        }


class ChangedModules:
    """Finds out whether modules may have other names than their sources show."""

    def __init__(
        self, texts: ProjectTexts, read_sources: Callable[[Callable[[str], object]], Iterator[tuple[str, bytes]]]
    ) -> None:
        """`read_sources` gives the sources of the project whose path is wanted, each with its content."""
        self._texts = texts
        self._read_sources = read_sources
        self._set_places: dict[_SetPlace, bool] = {}  # whether each is set
        self._marks = _Marks()
        self._are_noted = False
        self._rewritten: dict[str, str] = {}

    def look_for(self, faults: Iterable[ImportFault]) -> None:
        """Look through every source, once for some faults."""
        places = {place for fault in faults for place in _set_places(fault)} - self._set_places.keys()
        if not places:
            return
        search = _PlaceSearch(places)
        for path, data in self._read_sources(lambda _path: True):
            if not self._are_noted and not is_test(path):
                self._marks.note(path, data)
            search.look(data)
        self._are_noted = True
        self._set_places.update(search.results(self._marks.functions))

    def why_other(self, fault: ImportFault, reached: Collection[str]) -> str:
        """Why a module may have a name that its source lacks; `reached` are the files that the program executes."""
        return next(self._reasons(fault, reached), "")

    def _reasons(self, fault: ImportFault, reached: Collection[str]) -> Iterator[str]:
        marks = self._marks
        place = next(filter(self._set_places.get, _set_places(fault)), None)
        if place is not None:
            yield f"the project {place.shown}"
        if fault.source is None:
            return
        yield from self._of_file(fault.source.location.file, marks)
        yield from (f"{posixpath.basename(path)} sets names of the module that calls it" for path in marks.setting[:1])
        if self._is_registered(fault.source.name.encode(), marks):
            yield f"the project puts {fault.source.name} into sys.modules"
        if fault.kind in _BY_ORDER:
            yield from (
                f"{posixpath.basename(path)} imports modules by names that it computes"
                for path in marks.importing
                if path in reached
            )

    def _is_registered(self, name: bytes, marks: _Marks) -> bool:
        parts = name.split(b".")
        packages = {b".".join(parts[: end + 1]) for end in range(len(parts))}
        return not marks.registered.isdisjoint(packages) or not marks.registered_words.isdisjoint(parts)

    # --- files

    def _of_file(self, file: str, marks: _Marks) -> Iterator[str]:
        yield from filter(None, [self.why_rewritten(file)])
        for script, paths in marks.writing.items():
            if any(_may_be(path, file) for path in paths) and self._is_run(script):
                yield f"{posixpath.basename(script)} may write {posixpath.basename(file)}"

    def why_rewritten(self, file: str) -> str:
        """Why a file may not be what the project has: a command of a build file or of a script may rewrite it."""
        reason = self._rewritten.get(file)
        if reason is None:
            reason = self._rewritten[file] = self._why_rewritten(file) if file.endswith(".py") else ""
        return reason

    def _why_rewritten(self, file: str) -> str:
        base, texts = posixpath.basename(file), self._texts.build_files()
        if any(_is_written(*place, file) for place in _places_of(base.encode(), texts)):
            return f"a build file or script may rewrite {base}"
        return "a build file or script may rewrite any source" if self._writes_all else ""

    @cached_property
    def _writes_all(self) -> bool:
        return any(map(_writes_every_file, self._texts.build_files().split(b"\n")))

    def _is_run(self, script: str) -> bool:
        """Whether a build file names a source, as a file or as a module."""
        return re.search(rb"\b%s\b" % re.escape(last_word(script).encode()), self._texts.build_files()) is not None


def _places_of(name: bytes, texts: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Where texts have a path that ends in a name: the command before it, the path, and the text behind it."""
    at = texts.find(name)
    for _ in range(_MOST_NAMED):
        if at < 0:
            return
        before, behind = _line_before(texts, at), texts[at + len(name) : at + len(name) + _LONGEST]
        start = len(before.rstrip(_IN_PATH))
        if not (_IN_NAME.match(behind) or (start < len(before) and _IN_WORD.match(before[-1:]))):
            yield before[:start], before[start:] + name, behind
        at = texts.find(name, at + 1)


def _line_before(texts: bytes, at: int) -> bytes:
    """What stands before a place in its line, and in the lines that go on in it."""
    start = max(at - _LONGEST, 0)
    text = texts[start:at].replace(b"\\\r\n", b"  ").replace(b"\\\n", b"  ")
    return text[text.rfind(b"\n") + 1 :]


def _is_written(before: bytes, path: bytes, behind: bytes, file: str) -> bool:
    """Whether a command may write a file by a path; `before` is all of its line before that, and `behind` what follows."""
    if _REDIRECTION.search(before):
        return _may_be(path, file)
    command = _SEPARATORS.split(_IN_QUOTES.sub(b"''", before))[-1]
    program = next((match for match in _COMMAND.finditer(command) if _writes(match[0], command[match.end() :])), None)
    if program is None or program[0] not in _COPIERS or _LAST.match(behind):
        return program is not None and _may_be(path, file)
    # what is copied is only read, unless another file of that name goes somewhere
    folder = posixpath.dirname(path.decode("utf-8", "replace"))
    return folder not in {"", "."} and (not _may_be(path, file) or "$" in folder)


def _writes(program: bytes, arguments: bytes) -> bool:
    """Whether a program, with what stands before a path, writes to that path."""
    if program in _EDITORS:
        return _IN_PLACE.search(arguments) is not None
    return program not in _FETCHERS or _TO_FILE.search(arguments) is not None


def _writes_every_file(line: bytes) -> bool:
    """Whether a command in a line may rewrite sources that it does not name."""
    text = _IN_QUOTES.sub(b"''", line[:_LONGEST] + b" ")
    is_edit = (b"sed" in text or b"perl" in text) and _IN_PLACE.search(text) and _EVERY_FILE.search(text)
    return bool(is_edit or _PATCHES.search(text)) and not _OTHER_FILES.search(line[:_LONGEST])


def _may_be(written: bytes, file: str) -> bool:
    """Whether a path in a text may be that of a file: its name, and the folder before it unless that is computed."""
    folder, name = posixpath.split(written.decode("utf-8", "replace"))
    last = posixpath.basename(folder)
    is_open = not re.fullmatch(r"[\w-]+", last)  # ".", "..", "$APP", or none
    return name == posixpath.basename(file) and (is_open or last == posixpath.basename(posixpath.dirname(file)))


def _set_places(fault: ImportFault) -> Iterator[_SetPlace]:
    """The name that a module lacks, and the module's own, of which any attribute may be set."""
    yield _SetPlace(fault.name.encode())
    if fault.kind is FaultKind.UNLOADED:
        yield _SetPlace(fault.name.encode(), is_text=True)
    if fault.source is not None:
        package, _dot, last = fault.source.name.rpartition(".")
        yield _SetPlace(last.encode(), is_module=True)
        if package and fault.row.form is ImportForm.ATTRIBUTE:
            yield _SetPlace(last.encode())  # its package may get something else of that name


def _setting(place: _SetPlace) -> re.Pattern[bytes]:
    """What finds a statement that sets an attribute of a name, or a computed one of a module."""
    word = re.escape(place.word)
    if place.is_text:
        return re.compile(rb"[\"'](?:[\w.]*\.)?%s(?:[.:][\w.:]*)?[\"']" % word)
    if place.is_module:
        space = rb"(?:\b%s\.__dict__|vars\(\s*(?:\w+\.)*%s\s*\))(?:\[|\.(?:update|setdefault)\()" % (word, word)
        return re.compile(_SETATTR + b"|" + space)
    statement = rb"\.%s\s{0,200}(?::[^=\n]{1,200})?=(?!=)|^[\w., \t]{0,200}\.%s[ \t]*,[\w., \t]{0,200}=(?!=)" % (
        word,
        word,
    )
    target = (
        rb"\bfor\s+[\w.]{1,200}\.%s\s+in\b|\bwith\b[^\n]{0,200}\bas\s+[\w.]{1,200}\.%s\b|setattr\((?:[^\n]{0,200}|[^()]{0,200})[\"']%s[\"']"
        % ((word,) * 3)
    )
    return re.compile(statement + b"|" + target, re.MULTILINE)


def _passing(word: bytes) -> re.Pattern[bytes]:
    """What finds the names of functions that a module of that name is passed to."""
    return re.compile(
        rb"\b(\w+)\(\s{0,99}(?:[^()\n]{1,200},[ \t]{0,9})?(?:\w{1,99} ?= ?)?(?:\w{1,99}\.){0,9}%s\s{0,99}[,)]"
        % re.escape(word)
    )
