"""The build context of a Dockerfile where no file declares it: what its COPY and ADD instructions name decides. Pure."""

from __future__ import annotations

import posixpath
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile
from buildguard.project.target import Certainty, ContextBasis
from buildguard.remote.source_names import SUFFIXES

_REMOTE = lazy_pattern(r"[\w+.-]+://|git@|<<")  # of ADD, and a heredoc
_GLOB = lazy_pattern(r"[*?\[]")
_MOST_SOURCES = 200


# What makes a folder a project of its own.
_PROJECT_FILES = (
    *("requirements.txt", "requirements", "pyproject.toml", "setup.py", "setup.cfg", "Pipfile", "environment.yml"),
    *("main.py", "app.py", "manage.py"),
)


_DOCKERFILE_FOLDERS = frozenset(
    {
        *(
            "docker",
            ".docker",
            "dockerfile",
            "dockerfiles",
            "container",
            "containers",
            "image",
            "images",
            "build",
            "builds",
        ),
        *(
            "deploy",
            "deployment",
            "deployments",
            "ci",
            "ops",
            "infra",
            "infrastructure",
            "k8s",
            "kubernetes",
            "packaging",
        ),
    }
)


class ContextGuess(NamedTuple):
    """The folder that counts as a build context, how it is known, and a note for people (may be empty).

    `reach` is the widest folder that may be the context just as well, None where none may.
    """

    context: str
    basis: ContextBasis
    note: str = ""
    reach: str | None = None


class CopySource(NamedTuple):
    """A path below the build context that an instruction copies, and the line of the instruction."""

    path: str
    line: int


class ProjectPaths:
    """The paths of a project, sorted, so that files, folders and patterns are found without a walk."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self._paths = sorted(paths)
        self._patterns: dict[str, bool] = {}

    def below(self, folder: str) -> Iterator[bytes]:
        """Every file in a folder and the folders in it, "" for all."""
        start = folder.encode("utf-8", "surrogateescape") + b"/" if folder else b""
        at = bisect_left(self._paths, start)
        while at < len(self._paths) and self._paths[at].startswith(start):
            yield self._paths[at]
            at += 1

    def has(self, path: str) -> bool:
        """Whether a file or a folder exists; what is behind a link or in a closed submodule counts as existing."""
        if _GLOB.search(path):
            if path not in self._patterns:
                self._patterns[path] = self._matches(path)
            return self._patterns[path]
        parts = path.split("/")
        files = ("/".join(parts[:end]) for end in range(1, len(parts) + 1))
        return any(map(self._is_file, files)) or next(self.below(path), None) is not None

    def has_source(self, folder: str) -> bool:
        """Whether a folder contains Python sources."""
        return any(path.endswith(SUFFIXES) for path in self.below(folder))

    def _is_file(self, path: str) -> bool:
        raw = path.encode("utf-8", "surrogateescape")
        at = bisect_left(self._paths, raw)
        return at < len(self._paths) and self._paths[at] == raw

    def _matches(self, pattern: str) -> bool:
        """Whether a file or a folder matches, part by part as Docker does."""
        parts = pattern.split("/")
        fixed = next(number for number, part in enumerate(parts) if _GLOB.search(part))
        for path in self.below("/".join(parts[:fixed])):
            names = path.decode("utf-8", "surrogateescape").split("/")
            if len(names) >= len(parts) and all(map(fnmatchcase, names[fixed:], parts[fixed:])):
                return True
        return False


def guess(
    path: str, data: bytes, paths: ProjectPaths, *, prefer_root: bool = False, alone: bool = True
) -> ContextGuess:
    """The context of a Dockerfile: its folder or one above, whichever misses the fewest of its COPY sources.

    Where several miss as many, it is the nearest with Python sources and with what the commands need of a context that is
    copied as a whole. A folder without sources counts only where it misses nothing. `alone` says that the project has no other
    Dockerfile: one of several in a folder with sources is that folder's, unless the folder is called like one of Dockerfiles.
    """
    own = posixpath.dirname(path)
    folders = [own, *_above(own)]
    usual = [folder for folder in folders if not folder or paths.has_source(folder)]
    if prefer_root:
        usual.insert(0, usual.pop())
    sources = copy_sources(data)
    missing = {folder: _missing_sources(folder, sources, paths) for folder in folders}
    candidates = _Candidates(_fewest_missing(folders, usual, missing), missing)
    chosen, rivals = candidates.chosen, candidates.rivals
    needed = _decide_by_needs(data, [chosen, *rivals], paths) if rivals and not missing[chosen] else None
    if needed is not None:
        return ContextGuess(needed[0], ContextBasis(Certainty.CONFIRMED, f"{path}:{needed[1]}"))
    if not sources or not candidates.is_confirmed:
        holds_dockerfiles = _DOCKERFILE_FOLDERS & {*own.split("/")}
        reach = _reach(data, chosen, rivals, paths) if alone or holds_dockerfiles else None
        note = _note(path, chosen, missing[chosen], paths, copies=copies_context(data))
        return ContextGuess(chosen, ContextBasis(Certainty.GUESSED, path), note, reach)
    line = min((source.line for source in candidates.missing_elsewhere), default=sources[0].line)
    empty = f"{path}:{line}: the build context is {chosen}, which contains no Python source; nothing is checked for it"
    basis = ContextBasis(Certainty.CONFIRMED, f"{path}:{line}")
    return ContextGuess(chosen, basis, "" if chosen in usual else empty)


class _Candidates(NamedTuple):
    """The folder that is most likely the context, and what each folder misses of what is copied."""

    chosen: str
    missing: Mapping[str, Sequence[CopySource]]

    @property
    def others(self) -> list[str]:
        """The folders that were not chosen, from the nearest on."""
        return [folder for folder in self.missing if folder != self.chosen]

    @property
    def rivals(self) -> list[str]:
        """The other folders that miss no more than the chosen one."""
        return [folder for folder in self.others if len(self.missing[folder]) <= len(self.missing[self.chosen])]

    @property
    def missing_elsewhere(self) -> Iterator[CopySource]:
        """What the other folders miss."""
        return (source for folder in self.others for source in self.missing[folder])

    @property
    def is_confirmed(self) -> bool:
        """Whether the chosen folder has everything that is copied, and no other has."""
        return not self.missing[self.chosen] and all(self.missing[folder] for folder in self.others)


def _decide_by_needs(data: bytes, folders: Sequence[str], paths: ProjectPaths) -> tuple[str, int] | None:
    """The only one of some folders that has every file that the commands need, and the line of such a command."""
    from buildguard.project import context_evidence

    needed = context_evidence.needed_files(data)
    fitting = [
        folder
        for folder in folders
        if all(any(paths.has(posixpath.join(folder, path)) for path in need.paths) for need in needed)
    ]
    return (fitting[0], needed[0].line) if needed and len(fitting) == 1 else None


def _reach(data: bytes, chosen: str, rivals: Sequence[str], paths: ProjectPaths) -> str | None:
    """The widest folder that may be the context too; none where the chosen one is a project of its own."""
    wider = [folder for folder in rivals if not folder or chosen.startswith(f"{folder}/")]
    is_project = any(paths.has(posixpath.join(chosen, name)) for name in _PROJECT_FILES)
    if not wider or is_project:
        return None
    from buildguard.project import context_evidence

    if not context_evidence.copies_whole_context(data):
        return None
    return min(wider, key=len)


def _missing_sources(folder: str, sources: Sequence[CopySource], paths: ProjectPaths) -> list[CopySource]:
    return [source for source in sources if not paths.has(posixpath.join(folder, source.path))]


def _fewest_missing(folders: Sequence[str], usual: Sequence[str], missing: Mapping[str, Sequence[CopySource]]) -> str:
    """The usual folder that misses the fewest sources; any folder that misses none comes before one that does."""
    nearest = min(usual, key=lambda folder: len(missing[folder]))
    if not missing[nearest]:
        return nearest
    return next((folder for folder in folders if not missing[folder]), nearest)


def copy_sources(data: bytes) -> list[CopySource]:
    """The paths that a Dockerfile's COPY and ADD take from its context, less those that may be missing there."""
    copied: list[CopySource] = []
    known: dict[str, dict[str, str]] = {}
    for stage in dockerfile.stages(data, {}):
        variables = dict(known.get(stage.base.lower(), {}))
        for step in stage.instructions:
            text = dockerfile.expand_variables(step.text, variables)
            if step.name in {"ENV", "ARG"}:
                variables |= dockerfile.assignments(step.name, text, {})
            elif step.name in {"COPY", "ADD"} and not any(flag.startswith("--from=") for flag in step.flags):
                copied += (CopySource(source, step.line) for source in _sources(dockerfile.source_words(text)))
        if stage.alias:
            known[stage.alias] = variables
    return list(dict.fromkeys(copied))[:_MOST_SOURCES]


def copies_context(data: bytes) -> bool:
    """Whether a Dockerfile copies anything of its context."""
    steps = (step for stage in dockerfile.stages(data, {}) for step in stage.instructions)
    return any(
        step.name in {"COPY", "ADD"} and not any(flag.startswith("--from=") for flag in step.flags) for step in steps
    )


def _sources(words: Sequence[str]) -> Iterator[str]:
    for word in words[:-1]:
        source = _required(posixpath.normpath(posixpath.join("/", word)).lstrip("/"))
        if source and "$" not in source and not _REMOTE.match(word):
            yield source


def _required(source: str) -> str:
    """The part of a source that cannot be missing: of `lock/poetry.lock*` or `lock/yarn.loc[k]` the folder."""
    name = posixpath.basename(source)
    if not name.endswith("*") and "[" not in name:
        return source
    parts = posixpath.dirname(source).split("/")
    return "/".join(parts[: next((at for at, part in enumerate(parts) if _GLOB.search(part)), len(parts))])


def _above(folder: str) -> Iterator[str]:
    while folder:
        folder = posixpath.dirname(folder)
        yield folder


def _note(path: str, chosen: str, missing: Sequence[CopySource], paths: ProjectPaths, *, copies: bool) -> str:
    own, shown = posixpath.dirname(path), chosen or "the root"
    change = "set context in [[tool.buildguard.service]] to change it"
    if missing and own:
        return f"{path}:{missing[0].line}: no folder contains all that is copied; {shown} counts as the build context; {change}"
    if chosen != own and not paths.has_source(own):
        return f"{path}: no Python source in its folder, so {shown} counts as its build context; {change}"
    unconfirmed = (
        f"{path}: nothing confirms that {shown} is its build context, so proof is `compiled` at most; {change}"
    )
    return unconfirmed if own and copies else ""
