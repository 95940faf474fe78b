"""Configuration files below the root: each wins for the services in its folder, and names what it cannot decide."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator

from buildguard.diagnostic import display_path
from buildguard.project import config as configs
from buildguard.project.config import FILES, Config, FolderConfig
from buildguard.project.sources import matches
from buildguard.stages.stage import Stage, listing_of

_TOOLING = frozenset({".devcontainer", ".github", ".gitlab", ".git", "node_modules"})
# Decided by a folder's own file; the rest is the root's.
_OF_FOLDER = frozenset({"file", "target", "target_line", "image_line", "exclude", "ignore", "per_file_ignores"})


def add_folders(stage: Stage, root: Config) -> Config:
    """The configuration at the root with those of folders below it; raises UsageError and UnprovenError."""
    config = root
    for nested in _nested(stage, config):
        config = _add(config, nested)
    return config


def _nested(stage: Stage, root: Config) -> Iterator[Config]:
    """The configuration of each folder that has one, in order; `file` is its path."""
    by_folder: dict[str, dict[bytes, bytes]] = {}
    endings = tuple(b"/" + name for name in FILES)
    named = listing_of(stage).holding((), [name + b"\0" for name in endings])
    entries = [entry for entry in named if entry.path.endswith(endings)]
    wanted = [entry for entry in entries if not _is_left_out(display_path(entry.path), root)]
    for entry, content in stage.contents(wanted):
        if isinstance(content, bytes):
            parent, _, name = entry.path.rpartition(b"/")
            by_folder.setdefault(display_path(parent), {})[name] = content
    for folder, files in sorted(by_folder.items()):
        config = configs.read(files, folder)
        if config.file:
            yield config


def _is_left_out(path: str, root: Config) -> bool:
    return not _TOOLING.isdisjoint(path.split("/")) or matches(root.exclude, path)


def _add(config: Config, nested: Config) -> Config:
    """The configuration with what a nested one decides for its folder."""
    folder = posixpath.dirname(nested.file)
    ignores = [(pattern, codes) for pattern, codes in nested.per_file_ignores]
    if nested.ignore:
        ignores.append(("**", nested.ignore))
    moved = tuple((_below(folder, pattern), codes) for pattern, codes in ignores)
    unused = ", ".join(_unused(nested))
    note = f"{nested.file}: {unused} set there, but only the configuration at the root decides that"
    return config._replace(
        exclude=(*config.exclude, *(_below(folder, pattern) for pattern in nested.exclude)),
        per_file_ignores=(*config.per_file_ignores, *moved),
        folders=(*config.folders, FolderConfig(folder, nested.file, nested.target, nested.target_line)),
        notes=(*config.notes, *([note] if unused else [])),
    )


def _unused(nested: Config) -> Iterable[str]:
    """The settings of a nested file that nothing reads."""
    unset = Config()
    for name in Config._fields:
        is_repeated = name == "deploys" and len(nested.deploys) == 1  # `deploy` is the same table
        if name not in _OF_FOLDER and not is_repeated and getattr(nested, name) != getattr(unset, name):
            yield name.replace("_", "-")


def _below(folder: str, pattern: str) -> str:
    """A pattern in gitignore syntax that was written in a folder, as the root has it."""
    negated, text = ("!", pattern[1:]) if pattern.startswith("!") else ("", pattern)
    anchored = "/" in text.rstrip("/")
    return f"{negated}/{folder}/{text.lstrip('/') if anchored else f'**/{text}'}"
