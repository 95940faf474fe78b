"""YAML with positions: values as Google's tools read them, the place of each, and documents that would blow up."""

from __future__ import annotations

import pytest

from buildguard.project import yaml
from buildguard.project.yaml import InvalidYamlError

_MANY_ALIASES = b"a0: &a0 [x, x]\n" + b"".join(
    b"a%d: &a%d [%b]\n" % (at, at, b", ".join([b"*a%d" % (at - 1)] * 9)) for at in range(1, 8)
)


def _kind(text: str) -> str:
    node = yaml.read(f"key: {text}\n".encode(), "x.yaml").get("key")
    assert node is not None
    return node.kind


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("word", "str"),
        ('"3.9"', "str"),
        ("3.9", "float"),
        ("0777", "int"),
        ("yes", "bool"),  # YAML 1.1
        ("~", "null"),
        ("", "null"),
        ("2026-01-01", "timestamp"),
        ("[a]", "seq"),
        ("{a: b}", "map"),
    ],
)
def test_the_kind_of_a_value(text: str, kind: str) -> None:
    assert _kind(text) == kind


def test_a_scalar_keeps_its_text_and_its_place() -> None:
    text = b"a: 1\nsteps:\n  - name: 3.10\n"
    node = yaml.read(text, "x.yaml").get("steps")
    assert node is not None
    name = node.items()[0].get("name")
    assert name is not None

    assert (name.text(), name.line, name.place.column) == ("3.10", 3, 11)
    assert text[name.place.start : name.place.end] == b"3.10"
    assert node.items()[0].keys["name"].column == 5


def test_surrogates_of_json_are_characters_or_replaced() -> None:
    """A single one cannot be written as UTF-8, so it can name no file."""
    document = yaml.read(rb'{"smile": "\ud83d\ude00", "half": "a\ud800", "\ud800": "x"}', "cloudbuild.json")

    assert {name: node.text() for name, node in document.pairs()} == {
        "smile": "\U0001f600",
        "half": "a\ufffd",
        "\ufffd": "x",
    }


def test_lines_that_are_folded_are_joined_by_spaces() -> None:
    document = yaml.read(b"command: >-\n  gunicorn\n  --workers 2\n  app:app\n", "compose.yaml")

    assert dict(document.pairs())["command"].text() == "gunicorn --workers 2 app:app"


def test_one_value_counts_as_a_list_of_one_and_nothing_as_none() -> None:
    document = yaml.read(b"one: x\nnone: ~\nmap: {a: b}\n", "x.yaml")
    fields = dict(document.pairs())

    assert [node.text() for node in fields["one"].items()] == ["x"]
    assert fields["none"].items() == []
    assert fields["map"].items() == [fields["map"]]
    assert (fields["map"].text(), fields["one"].get("a"), list(fields["one"].pairs())) == ("", None, [])


def test_a_key_that_stands_there_twice_is_told_with_its_place() -> None:
    document = yaml.read(b"a: 1\nb: 2\na: 3\n", "x.yaml")

    assert [(again.key, again.place.line) for again in document.repeated] == [("a", 3)]
    assert dict(document.pairs())["a"].text() == "3"


def test_merged_keys_give_way_to_own_ones_and_the_first_source_wins() -> None:
    document = yaml.read(b"x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz:\n  <<: [*x, *y]\n  a: 3\nsame: *x\n", "x.yaml")
    merged = document.get("z")
    same = document.get("same")
    assert merged is not None
    assert same is not None

    assert {key: node.text() for key, node in merged.pairs()} == {"a": "3", "b": "1", "c": "2"}
    assert same.alias
    assert not merged.alias


@pytest.mark.parametrize(
    ("data", "line", "words"),
    [
        (b"a: [1,\nb: 2\n", 1, "while parsing a flow sequence"),
        (b"a: 1\n---\nb: 2\n", 2, "there is a second document in it"),
        (b"a: 1\nb: \xff\n", 2, "it is not UTF-8"),
        (b"a: 1\nb: c: d\n", 2, "mapping values are not allowed here"),
        (b"a: 1\nb: {<<: [1]}\n", 2, "'<<' wants a mapping, or a list of mappings"),
        (b"[" * 100, None, "nested more than 60 deep"),
        (b"".join(b" " * at + b"a:\n" for at in range(70)) + b" " * 70 + b"b\n", None, "nested more than 60 deep"),
        (_MANY_ALIASES, None, "more than 20,000 values"),
    ],
)
def test_what_is_no_yaml_is_refused_with_its_place(data: bytes, line: int | None, words: str) -> None:
    with pytest.raises(InvalidYamlError) as refused:
        yaml.read(data, "x.yaml")

    assert refused.value.line == line
    assert words in refused.value.problem
    assert str(refused.value).startswith("x.yaml is not" if line is None else f"x.yaml:{line} is not")


def test_an_empty_document_is_null() -> None:
    assert yaml.read(b"", "x.yaml").kind == "null"
