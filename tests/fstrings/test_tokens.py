"""The tokens of a field's code, taken together."""

from __future__ import annotations

import pytest

from buildguard.fstrings.parser import FString, ReplacementField, read
from buildguard.fstrings.tokens import chains


def _field(code: str) -> ReplacementField:
    literal = read(code)
    assert isinstance(literal, FString)
    (field,) = (part for part in literal.parts if isinstance(part, ReplacementField))
    return field


@pytest.mark.parametrize(
    ("code", "together"),
    [
        ("f'''{'a'}'''", ["'a'"]),
        ("f'''{'a' 'b' f'c'}'''", ["'a' 'b' f'c'"]),
        ("f'''{'a' + 'b'}'''", ["'a'", "'b'"]),
        ("f'''{'a', 'b' 'c'}'''", ["'a'", "'b' 'c'"]),
        ("f'''{'a' # b\n'c'}'''", ["'a' # b\n'c'"]),
        ("f'''{'a' # b\n # c\n'd' # e\n'f'}'''", ["'a' # b\n # c\n'd' # e\n'f'"]),
        ("f'''{'a' # b\n # c\n+ 'd'}'''", ["'a'", "# b", "\n", "# c", "\n", "'d'"]),
        ("f'''{'a' # b\n}'''", ["'a'", "# b", "\n"]),
        ("f'''{ # a\n'b' 'c'}'''", ["# a", "\n", "'b' 'c'"]),
        ("f'''{'a' # b\n+ c # d\n}'''", ["'a'", "# b", "\n", "# d", "\n"]),
        ("f'''{'a' \\\n 'b' # c\n}'''", ["'a' \\\n 'b'", "# c", "\n"]),
    ],
    ids=range(11),
)
def test_strings_side_by_side(code: str, together: list[str]) -> None:
    found = chains(code, _field(code).tokens)
    assert [code[chain[0].start : chain[-1].end] for chain in found] == together
    assert [one for chain in found for one in chain] == list(_field(code).tokens)
