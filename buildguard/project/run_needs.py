"""The files that a RUN reads, as far as its literal words show it: what pip, Poetry, uv and chmod need; and its programs. Pure."""

from __future__ import annotations

import itertools
import posixpath
import re
from collections.abc import Iterator

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import run_commands, run_effects
from buildguard.project.image_model import SYSTEM_FOLDERS, MissingSource, UnmetNeed, folders_above, is_below
from buildguard.project.image_stage_state import StageState

_COMMANDS = lazy_pattern(r"&&|\|\||[;|\n]")
_INSTALLS = lazy_pattern(r"(?:^|\s)(?:pip3?(?:\.\d+)?|uv\s+pip)\s+(?:install|sync|wheel|download)\s(?P<words>.*)")
_FILE = lazy_pattern(r"(?:^|\s)(?:-r|--requirements?)(?:\s+|=)?(?P<quote>[\"']?)(?P<name>[\w./-]+)(?P=quote)(?=\s|$)")
_MOVES = lazy_pattern(r"(?:^|[\s;&|(])(?:cd|pushd|chroot)\s")
_READS = lazy_pattern(r"\b(?:pip3?(?:\.\d+)?|poetry|uv|chmod)\s")
_PROJECT = lazy_pattern(r"[\"']?\./?(?:\[[\w,-]*\])?[\"']?")
_WITH_PATH = frozenset(
    [
        "-t",
        "--target",
        "-d",
        "--dest",
        "-f",
        "--find-links",
        "--prefix",
        "--root",
        "--src",
        "-w",
        "--wheel-dir",
        "--log",
        "-p",
        "--python",
    ]
)
_CHMOD = lazy_pattern(r"\s*chmod\s+(?:-[Rvcf]+\s+)*(?:[0-7]{3,4}|[ugoa]*[+=][rwxX]+)\s(?P<words>.*)")
_SCRIPT = lazy_pattern(r"[\w./-]*\w\.(?:sh|bash|py|pl)")
_BARE = lazy_pattern(r"\s*(?:python[\d.]*\s+-m)?\s*")
# What makes a pyproject.toml or a lock file without a word for either.
_MAKES_PROJECT = lazy_pattern(
    r"\b(?:poetry|uv|pdm|hatch|cookiecutter|copier)\s+(?!install\b|pip\b|config\b|self\b|cache\b|--version)\w"
)
_SET_E = lazy_pattern(r"\s*set\s+(?:-[a-z]*e|-o\s+errexit\b)")
_CONDITIONS = lazy_pattern(
    r"(?:^|[\s;&|({])(?:if|for|while|until|case|else|then|do|exit|return)(?:\s|$)|\|\||[(){}]|<<|(?:^|[^&])&(?!&)"
)


class FileNeed(NamedTuple):
    """A file that a command reads, as it writes it; `others` beside it would do, and one in a folder above where it `climbs`.

    `is_project` is what a tool writes for a new project.
    """

    name: str
    program: str
    others: tuple[str, ...] = ()
    is_project: bool = False
    climbs: bool = False


_HERE = r"(?!.*\s(?:-C|-P|--(?:directory|project|script|config-file|no-project)\b|-[hV]\b|--help\b))"
_OF_PROJECT = (
    (
        lazy_pattern(rf"\s*poetry\s+install{_HERE}(?:\s.*)?"),
        FileNeed("pyproject.toml", "poetry", is_project=True, climbs=True),
    ),
    (
        lazy_pattern(rf"\s*uv\s+sync{_HERE}(?=.*\s--(?:frozen|locked)(?:\s|$))\s.*"),
        FileNeed("uv.lock", "uv", is_project=True, climbs=True),
    ),
)


def unmet_needs(text: str, state: StageState, line: int, context: str) -> Iterator[UnmetNeed]:
    """The files that a RUN reads, and that are surely not there by then; `context` is the folder of the build context.

    Left out are those that the commands before it, in this RUN or earlier ones, name in any way: they may make them.
    """
    if not state.knows_workdir or not _READS.search(text):
        return
    for start, end in _spans(text):
        before = text[:start]
        for need in _needs_of(text[start:end], before, state.run_text):
            path = state.at(need.name)
            if "$" not in path and not _may_be_there(need, path, state, (before, line), context):
                yield UnmetNeed(line, path, need.name, need.program, need.others, _ends_build(before, text[end:]))


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each command of a text is."""
    marks = [(0, 0), *(match.span() for match in _COMMANDS.finditer(text)), (len(text), len(text))]
    return ((before[1], after[0]) for before, after in itertools.pairwise(marks))


def program_names(text: str) -> frozenset[str]:
    """The first words of the commands of a text; a quote alone where its quotes do not match."""
    try:
        return frozenset(command.words[0] for command in run_commands.split(text) if command.words)
    except ValueError:
        return frozenset({'"'})


def _needs_of(command: str, before: str, earlier: str) -> Iterator[FileNeed]:
    """The files that one command reads, but those that what stands before it may make."""
    if _MOVES.search(before):
        return iter(())
    others = f"{earlier}\n{_without_reads(before)}"
    found = (*_of_pip(command), *_of_project(command), *_of_chmod(command))
    return (need for need in found if not _may_make(others, need))


def _may_make(text: str, need: FileNeed) -> bool:
    """Whether some commands name a file, or make a project of their own."""
    if need.is_project and _MAKES_PROJECT.search(text):
        return True
    names = "|".join(re.escape(name.rpartition("/")[2]) for name in (need.name, *need.others))
    return re.search(rf"(?<![\w-])(?:{names})\b", text) is not None


def _without_reads(text: str) -> str:
    """The commands of a text, but those of pip that install: they make no file that another one reads."""
    return "\n".join(command for command in _COMMANDS.split(text) if _INSTALLS.search(command) is None)


def _of_pip(command: str) -> Iterator[FileNeed]:
    match = _INSTALLS.search(command)
    if match is None or _MOVES.search(command[: match.start()]):
        return
    for file in _FILE.finditer(match["words"]):
        yield FileNeed(file["name"], "pip")
    if _BARE.fullmatch(command[: match.start()]) and _installs_folder(match["words"]):
        yield FileNeed("pyproject.toml", "pip", ("setup.py",), is_project=True)


def _installs_folder(arguments: str) -> bool:
    """Whether pip installs the working folder."""
    words = ["", *arguments.split()]
    return any(_PROJECT.fullmatch(word) and option not in _WITH_PATH for option, word in itertools.pairwise(words))


def _of_project(command: str) -> Iterator[FileNeed]:
    return (need for pattern, need in _OF_PROJECT if pattern.fullmatch(command))


def _of_chmod(command: str) -> Iterator[FileNeed]:
    match = _CHMOD.fullmatch(command)
    for word in match["words"].split() if match is not None else ():
        if _SCRIPT.fullmatch(word):
            yield FileNeed(word, "chmod")


def _may_be_there(need: FileNeed, path: str, state: StageState, before: tuple[str, int], context: str) -> bool:
    """Whether an instruction so far, or the commands `before` in the same RUN, may have brought a file or one that does for it."""
    places = _places(need, path)
    if need.program == "chmod" and not _is_ours(posixpath.dirname(path), state):
        return True
    if any(_may_hold(state, place, context) for place in places) or any(
        _may_bring(lost, need) for lost in state.missing
    ):
        return True
    later = StageState(state)
    run_effects.apply(before[0], later, before[1])
    return any(place in later.files or later.covers_unknown(place) for place in places)


def _places(need: FileNeed, path: str) -> list[str]:
    """Where a command finds what it needs."""
    folders = [*folders_above(path)] if need.climbs else [posixpath.dirname(path)]
    return [posixpath.join(folder, name) for folder in folders for name in (posixpath.basename(path), *need.others)]


def _is_ours(folder: str, state: StageState) -> bool:
    """Whether a folder is the project's alone: those of the system have files of their own."""
    if folder in SYSTEM_FOLDERS:
        return folder == state.workdir != "/"
    return any(root != "/" and is_below(folder, root) for root in (state.workdir, *state.roots))


def _may_hold(state: StageState, place: str, context: str) -> bool:
    inside = posixpath.relpath(place, state.workdir)
    source = posixpath.normpath(posixpath.join(context, inside))
    # a folder of the base image that a COPY names without a slash counts as a file
    is_placed = place in state.files or posixpath.dirname(place) in state.files
    return is_placed or state.covers_unknown(place) is not None or source in state.doubts


def _may_bring(missing: MissingSource, need: FileNeed) -> bool:
    """Whether a COPY whose source is missing would bring a file: that is the cause then."""
    name = posixpath.basename(missing.source.rstrip("/"))
    wanted = {posixpath.basename(need.name), *need.others}
    return not missing.is_pattern and (name in wanted or not posixpath.splitext(name)[1])


def _ends_build(before: str, rest: str) -> bool:
    """Whether a RUN surely fails with a command, by what stands before it and after."""
    if _CONDITIONS.search(before):
        return False
    tail = rest.rstrip(" \t\r\n;")
    if _SET_E.match(before):
        tail = re.split(r"[;\n]", tail, maxsplit=1)[0]
    return re.search(r"[|;\n&]", tail.replace("&&", " ")) is None
