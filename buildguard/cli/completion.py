"""Values for the shell's completion: engines, services, codes, stages and revisions. Nothing here fails or prints."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from click.shell_completion import CompletionItem, FishComplete, add_completion_class

from buildguard.errors import GuardError

_STAGES = {
    "index:": "what is staged",
    "commit:": "a commit, branch or tag",
    "dir:": "a folder",
    "tar:": "an archive",
    "gs://": "an object in Cloud Storage",
    "image:": "a container image",
    "build:": "a build in Cloud Build",
    "manifest:": "a list of digests",
}


@add_completion_class
class FishCompletion(FishComplete):
    """Completion for fish that splits at the first comma alone: values and descriptions have commas of their own."""

    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')


def complete_engines(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Engines, also after a comma."""
    from buildguard.engines.engine import EngineName

    before, comma, _last = incomplete.rpartition(",")
    names = list(EngineName) if comma else ["auto", *EngineName]
    return _matching(incomplete, (f"{before}{comma}{name}" for name in names))


def complete_codes(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Codes, each with its title."""
    from buildguard.codes import CODES

    return [CompletionItem(code, help=title) for code, title in CODES.items() if code.startswith(incomplete.upper())]


def complete_services(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Services of the project around the working folder, and those of its deploys."""
    try:
        return _matching(incomplete, _services())
    except (GuardError, OSError):
        return []


def complete_stages(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Stages; after `commit:` branches and tags, after other prefixes and for paths files."""
    prefix, colon, rest = incomplete.partition(":")
    if prefix == "commit" and colon:
        return _matching(incomplete, (f"commit:{name}" for name in _references()))
    if colon and prefix in {"dir", "tar", "manifest"}:
        return [CompletionItem(f"{prefix}:{path}") for path in _paths(rest, only_folders=prefix == "dir")]
    stages = [CompletionItem(name, help=text) for name, text in _STAGES.items() if name.startswith(incomplete)]
    return [*stages, CompletionItem(incomplete, type="file")]


def complete_paths(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Files and folders, which the shell lists itself."""
    return [CompletionItem(incomplete, type="file")]


def _matching(incomplete: str, words: Iterable[str]) -> list[CompletionItem]:
    return [CompletionItem(word) for word in dict.fromkeys(words) if word.startswith(incomplete)]


def _services() -> list[str]:
    from buildguard.load import Project

    project = Project.load(Path.cwd())
    deployed = [table.name for table in project.config.deploys if table.name]
    return [*(recipe.service.name for recipe in project.recipes), *deployed]


def _references() -> list[str]:
    from buildguard.system import git

    try:
        repository = git.repository_of(Path.cwd())
        return ["HEAD", *repository.references()] if repository is not None else []
    except (GuardError, OSError):
        return []


def _paths(beginning: str, *, only_folders: bool) -> list[str]:
    folder, slash, name = beginning.rpartition("/")
    parent = Path(f"{folder}{slash}" or ".")
    try:
        entries = sorted(entry for entry in parent.iterdir() if entry.name.startswith(name))
    except OSError:
        return []
    return [
        f"{folder}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
        for entry in entries
        if entry.is_dir() or not only_folders
    ]
