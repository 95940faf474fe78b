"""Names of codecs that only newer Pythons know."""

from __future__ import annotations

import pytest

from buildguard.project.codec_names import first_minor, local_name
from buildguard.project.source_text import decode_source
from buildguard.remote.source_encoding import coding_of


@pytest.mark.parametrize(
    ("name", "minor", "local"),
    [
        ("windows-31j", 13, "cp932"),
        ("Windows_31J", 13, "cp932"),
        ("csEUCKR", 14, "euc_kr"),
        ("latin_9", 15, "iso8859_15"),
    ],
)
def test_newer_names(name: str, minor: int, local: str) -> None:
    assert first_minor(name) == minor
    assert "é".encode().decode(local_name(name), "replace") == "é".encode().decode(local, "replace")


def test_other_names_stay() -> None:
    assert (first_minor("cp932"), local_name("cp932"), local_name("no-such")) == (0, "cp932", "no-such")


@pytest.mark.parametrize(
    ("cookie", "codec"),
    [
        ("latin-1-unix", "iso-8859-1"),
        ("iso-8859-1-dos", "iso-8859-1"),
        ("ISO_LATIN_1-mac", "iso-8859-1"),
        ("latin-1", "iso-8859-1"),
        ("iso-8859-15", "iso-8859-15"),
        ("latin-1x", "latin-1x"),
        ("utf-8-unix", "utf-8"),
        ("UTF_8", "utf-8"),
        ("utf8", "utf8"),
    ],
)
def test_the_first_letters_decide_as_in_cpython(cookie: str, codec: str) -> None:
    assert coding_of(f"# coding: {cookie}\n".encode()).codec == codec


def test_a_source_in_a_codec_of_a_newer_python_is_read() -> None:
    assert decode_source("# coding: windows-31j\n# 鬘\n".encode("cp932")) == "# coding: windows-31j\n# 鬘\n"
