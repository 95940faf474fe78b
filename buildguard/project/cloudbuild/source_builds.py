"""Builds from source without a Dockerfile, by the words of a command: `pack build`, `gcloud run|functions deploy`. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, StrEnum, lazy_pattern

_RELEASE_TRACKS = frozenset({"alpha", "beta", "preview"})
_REMOTE = lazy_pattern(r"[\w+.-]+://|git@|gs:")
_DELIMITER = lazy_pattern(r"\^(.+?)\^")


class SourceTool(StrEnum):
    """What builds: a buildpack builder on its own, Cloud Run, or functions."""

    PACK = "pack build"
    RUN = "gcloud run deploy"
    FUNCTIONS = "gcloud functions deploy"


class SourceBuild(NamedTuple):
    """One build from source: its line, folder and variables, and what it names of the platform.

    `runtime` is a runtime or a base image (`python312`), `builder` a builder image; both empty where the platform decides.
    `env_file` is a file of variables, empty where none is named.
    """

    line: int
    tool: SourceTool
    folder: str
    env: tuple[tuple[str, str], ...] = ()
    builder: str = ""
    runtime: str = ""
    env_file: str = ""


def parse(line: int, argv: Sequence[str], start: str, step_env: Mapping[str, str]) -> SourceBuild | None:
    """The build that a command of a step starts in the folder `start`; None for any other command."""
    words = [word for word in argv if word not in _RELEASE_TRACKS]
    options = _options(words)
    if words[:2] == ["pack", "build"]:
        tool, folder = SourceTool.PACK, _last(options, "--path", "-p") or "."
    elif words[:3] == ["gcloud", "run", "deploy"] and "--source" in options:
        tool, folder = SourceTool.RUN, _last(options, "--source")
    elif words[:3] == ["gcloud", "functions", "deploy"]:
        tool, folder = SourceTool.FUNCTIONS, _last(options, "--source") or "."
    else:
        return None
    inside = _inside(start, folder)
    if inside is None:
        return None
    return SourceBuild(
        line,
        tool,
        inside,
        tuple(sorted((dict(step_env) | dict(_variables(options)) | _target(words, tool, options)).items())),
        _last(options, "--builder", "-B"),
        _last(options, "--base-image", "--runtime"),
        _inside(start, _last(options, "--build-env-vars-file", "--env-file")) or "",
    )


def _target(words: Sequence[str], tool: SourceTool, options: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The variable that the platform sets for a function: its entry point, by default its own name."""
    name = words[3] if tool is SourceTool.FUNCTIONS and len(words) > 3 and not words[3].startswith("-") else ""  # noqa: PLR2004
    target = _last(options, "--entry-point", "--function") or name
    return {"GOOGLE_FUNCTION_TARGET": target} if target and tool is not SourceTool.PACK else {}


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    """Options and their values; a word that follows an option counts as its value unless it is one itself."""
    options: dict[str, list[str]] = {}
    for position, word in enumerate(words):
        if not word.startswith("-"):
            continue
        name, equals, value = word.partition("=")
        following = words[position + 1] if position + 1 < len(words) else ""
        options.setdefault(name, []).append(value if equals else "" if following.startswith("-") else following)
    return options


def _last(options: Mapping[str, Sequence[str]], *names: str) -> str:
    return next((options[name][-1] for name in names if options.get(name)), "")


def _variables(options: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """The variables of the build: gcloud's lists, and pack's single ones."""
    for name in ("--set-build-env-vars", "--update-build-env-vars"):
        for text in options.get(name, ()):
            delimiter = _DELIMITER.match(text)
            parts = text[delimiter.end() :].split(delimiter[1]) if delimiter is not None else text.split(",")
            yield from _pairs(parts)
    yield from _pairs([*options.get("--env", ()), *options.get("-e", ())])


def _pairs(texts: Sequence[str]) -> Iterator[tuple[str, str]]:
    for text in texts:
        name, equals, value = text.partition("=")
        if equals:
            yield name.strip(), value.strip()


def _inside(start: str, path: str) -> str | None:
    """A folder or file from the root; None where it is remote, unknown or outside."""
    if not path or "$" in path or _REMOTE.match(path):
        return None
    path = path.removeprefix("/workspace").lstrip("/") if path.startswith("/workspace") else path
    joined = posixpath.normpath(posixpath.join(start, path or "."))
    if joined.startswith(("/", "../")) or joined == "..":
        return None
    return "" if joined == "." else joined
