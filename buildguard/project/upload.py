"""Which entries of a commit an upload sends. Pure."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping

from buildguard.project.ignore import gcloud
from buildguard.project.ignore.rules import IgnoreRule, parents
from buildguard.stages.manifest import LINK, SUBMODULE, ManifestEntry


def select_uploaded(
    entries: Mapping[bytes, ManifestEntry], rules: gcloud.GcloudIgnoreRules
) -> tuple[list[ManifestEntry], list[tuple[ManifestEntry, IgnoreRule]]]:
    """The entries that are sent and those that a rule drops; a submodule has no content of its own to send."""
    links = any(entry.mode == LINK for entry in entries.values())
    folders = {folder for path in entries for folder in parents(os.fsdecode(path))} if links else set()
    sent, dropped = [], []
    for path, entry in entries.items():
        text = os.fsdecode(path)
        to_folder = entry.mode == LINK and link_target(text, entry) in folders
        rule = rules.drops(text, is_folder=to_folder or entry.mode == SUBMODULE)
        if rule is not None:
            dropped.append((entry, rule))
        elif entry.mode != SUBMODULE:
            sent.append(entry)
    return sent, dropped


def link_target(path: str, entry: ManifestEntry) -> str:
    """The path of the project that a symbolic link points to, empty for one outside of it."""
    text = os.fsdecode(entry.text)
    joined = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
    return "" if text.startswith("/") or joined.startswith("..") else joined
