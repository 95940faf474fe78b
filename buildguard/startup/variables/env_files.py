"""Files of variables, such as `.env`: where each library looks for one, and the names that it finds there. Pure."""

from __future__ import annotations

import ast
import configparser
import posixpath
import re
from collections.abc import Iterator

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project.ignore.rules import parents
from buildguard.startup.variables.names import ModuleNames

# A line of a file as python-dotenv reads it: a value in quotes may go over several lines.
_LINE = lazy_pattern(
    r"""^[^\S\n]*(?:export[^\S\n]+)?('[^'\n]+'|[^=#\s'][^=#\s]*)[^\S\n]*=[^\S\n]*('(?:\\'|[^'])*'|"(?:\\"|[^"])*"|[^\n]*)""",
    re.MULTILINE,
)
_DJANGO_LINE = lazy_pattern(r"^(?:export )?([A-Za-z_0-9]+)=", re.MULTILINE)
_PLAIN_READERS = frozenset({"decouple", "starlette"})  # they know neither `export` nor quotes around several lines
_SECTION = "settings"  # the one that decouple reads of settings.ini
_FINDERS = frozenset({"dotenv.find_dotenv", "dotenv.main.find_dotenv"})


class EnvFile(NamedTuple):
    """A file of variables: its paths (the first that exists counts), who reads it, and the folder that they begin in (empty: the working folder).

    `climbs` says that the folders above count as well; `is_given` that the code spells out where it is.
    """

    paths: tuple[str, ...]
    reader: str
    folder: str = ""
    climbs: bool = False
    is_given: bool = True

    def places(self, working_folder: str) -> list[str]:
        """Where it may be, the first place first."""
        folder = "/" + (self.folder or working_folder).strip("/")
        above = [f"/{up}" for up in reversed(parents(folder[1:]))] + ["/"] if self.climbs else []
        joined = (posixpath.join(each, path) for each in (folder, *above) for path in self.paths)
        return list(dict.fromkeys(map(posixpath.normpath, joined)))

    def names(self, place: str, text: str) -> Iterator[str]:
        """The variables that it sets, by what is in it."""
        if place.endswith(".ini"):
            yield from _of_section(text)
        elif self.reader in _PLAIN_READERS:
            lines = (line.strip().partition("=") for line in text.splitlines())
            yield from (name.strip() for name, equals, _value in lines if equals and not name.startswith("#"))
        elif self.reader == "django-environ":
            yield from (match[1] for match in _DJANGO_LINE.finditer(text))
        else:
            yield from names_in(text)


def names_in(text: str) -> Iterator[str]:
    """The variables that a file of `NAME=value` lines sets."""
    return (match[1].strip("'") for match in _LINE.finditer(text))


def _of_section(text: str) -> Iterator[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error:
        return
    if parser.has_section(_SECTION):
        yield from (name.upper() for name in parser[_SECTION])  # it reads them in any case


def file_of(names: ModuleNames, node: ast.expr, usual: EnvFile) -> EnvFile | None:
    """The file that an expression names; None for one that is computed. `usual` is the one where nothing is given."""
    if isinstance(node, ast.Call) and names.full(node.func) in _FINDERS:
        return _searched(names, node, usual)
    text = names.text(node)
    if text:
        return EnvFile((text,), usual.reader)
    path = names.paths.read(node)
    if path is None:
        return None
    folder = usual.folder if path.is_beside else ""
    return EnvFile((path.text,), usual.reader, folder, is_given=not path.is_beside)


def _searched(names: ModuleNames, call: ast.Call, usual: EnvFile) -> EnvFile | None:
    """What `find_dotenv` looks for."""
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    file = names.text(call.args[0] if call.args else keywords.get("filename", ast.Constant(".env")))
    in_working_folder = "usecwd" in keywords
    if not file or len(call.args) > 1:
        return None
    return EnvFile((file,), usual.reader, "" if in_working_folder else usual.folder, climbs=True, is_given=False)


def beside(reader: str, module: str, *paths: str, climbs: bool = True) -> EnvFile:
    """The file that a reader looks for where nothing is given: in the folder of the module that calls it, and above."""
    return EnvFile(paths or (".env",), reader, posixpath.dirname(module), climbs, is_given=False)
