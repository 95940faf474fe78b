"""The texts of the program and its documentation keep to the house style of tests/prose.py."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from buildguard import codes
from tests import prose, sources
from tests.conftest import REPOSITORY
from tests.sources import SOURCES

_GENERATED = {"benchmarks.md", "mutation.md", "programs.md", "trust.md"}  # bench writes them
_PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(file for file in (REPOSITORY / "docs").glob("*.md") if file.name not in _GENERATED),
        *(REPOSITORY / "buildguard/pages").glob("*.md"),
    ]
)
# What was there before this gate, by room: lower a number when you rewrite, never raise one.
_PHRASES_LEFT: dict[str, int] = {}
_PLURALS_LEFT = {
    "buildguard/cli": 1,
    "buildguard/compare": 1,
    "buildguard/diagnose": 3,
    "buildguard/gcp": 3,
    "buildguard/project": 1,
    "buildguard/remote": 1,
    "buildguard/stages": 1,
}
_LONG_LEFT: dict[str, int] = {}


def _name(file: Path) -> str:
    return file.relative_to(REPOSITORY).as_posix()


def _room(name: str) -> str:
    return "/".join(name.split("/")[:2]) if name.startswith("buildguard/") else name.split("/", maxsplit=1)[0]


def test_no_phrase_of_a_translation() -> None:
    found = [place for file in (*SOURCES, *_PAGES) for place in prose.find_phrases(file, _name(file))]
    _at_most(_PHRASES_LEFT, {f"{place.file}:{place.line}: {place.text!r}": _room(place.file) for place in found})


def test_sentences_of_messages_are_short() -> None:
    long = {
        f"{_name(file)}:{message.line}: {sentence}": _room(_name(file))
        for file in SOURCES
        for message in prose.messages(sources.of_type(file, ast.Call, ast.Yield))
        for sentence in prose.long_sentences(message)
    }
    _at_most(_LONG_LEFT, long)


def test_numbers_agree_with_their_nouns() -> None:
    plurals = {
        f"{_name(file)}:{message.line}: {message.text}": _room(_name(file))
        for file in SOURCES
        for message in prose.unagreed_plurals(sources.of_type(file, ast.JoinedStr))
    }
    _at_most(_PLURALS_LEFT, plurals)


def _at_most(allowed: dict[str, int], places: dict[str, str]) -> None:
    counts = Counter(places.values())
    over = {room: number for room, number in counts.items() if number > allowed.get(room, 0)}
    assert not over, "\n".join([str(dict(counts)), *(place for place, room in places.items() if room in over)])


def test_every_code_that_is_named_can_be_explained() -> None:
    known = {*codes.CODES, "BG999", "BG000"}
    unknown = {_name(file): prose.find_codes(sources.text(file)) - known for file in (*SOURCES, *_PAGES)}

    assert {name: found for name, found in unknown.items() if found} == {}


def test_the_gate_notices() -> None:
    tree = ast.parse(
        "raise UsageError(f'{len(x)} files', hint='" + "word " * 26 + "')\nraise UsageError(f'{count(n)} files: {x}')"
    )
    nodes = [*ast.walk(tree)]

    assert [message.text for message in prose.messages(nodes)] == ["X files", "word " * 26, "X files: X"]
    assert [len(list(prose.long_sentences(message))) for message in prose.messages(nodes)] == [0, 1, 0]
    assert len(list(prose.unagreed_plurals(nodes))) == 1
    assert re.search("nobody", "|".join(prose.PHRASES))
    assert prose.find_codes("BG101 and BG2xx") == {"BG101"}
