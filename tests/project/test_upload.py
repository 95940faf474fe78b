"""What of a commit is sent, and where a symbolic link of it points."""

from __future__ import annotations

import os

import pytest

from buildguard.project.ignore.gcloud import GcloudIgnoreRules
from buildguard.project.upload import link_target, select_uploaded
from buildguard.stages import manifest as manifests
from buildguard.stages.manifest import ManifestEntry


def _entries(rows: dict[bytes, tuple[str, bytes]]) -> dict[bytes, ManifestEntry]:
    return {path: manifests.of_bytes(path, mode, content) for path, (mode, content) in rows.items()}


def _rules(ignore: bytes) -> GcloudIgnoreRules:
    return GcloudIgnoreRules({".gcloudignore": ignore}.get, has_git=True)


def test_what_a_rule_drops_is_named_with_its_rule() -> None:
    entries = _entries({b"main.py": (manifests.FILE, b"x"), b"tests/a.py": (manifests.FILE, b"y")})

    sent, dropped = select_uploaded(entries, _rules(b"tests/\n"))

    assert [entry.path for entry in sent] == [b"main.py"]
    assert [(entry.path, str(rule)) for entry, rule in dropped] == [(b"tests/a.py", ".gcloudignore:1: tests/")]


def test_a_submodule_is_neither_sent_nor_dropped() -> None:
    entries = _entries({b"lib": (manifests.SUBMODULE, b"0" * 40), b"main.py": (manifests.FILE, b"x")})

    sent, dropped = select_uploaded(entries, _rules(b""))

    assert ([entry.path for entry in sent], dropped) == ([b"main.py"], [])


def test_a_rule_for_folders_drops_a_link_to_a_folder_and_keeps_a_link_to_a_file() -> None:
    entries = _entries(
        {
            b"src/main.py": (manifests.FILE, b"x"),
            b"to/folder": (manifests.LINK, b"../src"),
            b"to/file": (manifests.LINK, b"../src/main.py"),
        }
    )

    sent, dropped = select_uploaded(entries, _rules(b"to/*/\n"))

    assert [entry.path for entry, _rule in dropped] == [b"to/folder"]
    assert [entry.path for entry in sent] == [b"src/main.py", b"to/file"]


@pytest.mark.parametrize(
    ("path", "text", "target"),
    [
        ("a/link", "b.py", "a/b.py"),
        ("a/link", "../b.py", "b.py"),
        ("a/link", "..", "."),
        ("link", "a/../b", "b"),
        ("link", "/etc/passwd", ""),
        ("a/link", "../../b", ""),
    ],
)
def test_where_a_link_points(path: str, text: str, target: str) -> None:
    entry = manifests.of_bytes(os.fsencode(path), manifests.LINK, os.fsencode(text))

    assert link_target(path, entry) == target
