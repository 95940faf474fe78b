"""The ways to write one f-string, with what they cost; `test_rewrite` has what becomes of whole sources."""

from __future__ import annotations

import pytest

from buildguard.fstrings.escape import UnencodableError
from buildguard.fstrings.parser import read
from buildguard.fstrings.rewrite import Rewriter
from buildguard.fstrings.source_piece import SourcePiece


def _candidates(text: str) -> list[SourcePiece]:
    literal = read(text)
    assert literal is not None
    return list(Rewriter(text, lambda _source, otherwise: otherwise).candidates(literal))


@pytest.mark.parametrize(
    ("text", "cheapest"),
    [
        ("f'{x}'", SourcePiece("f'{x}'")),
        ('f"{d["k"]}"', SourcePiece("f\"{d['k']}\"", 1)),
        ('f"{f"{x}"}"', SourcePiece("f\"{f'{x}'}\"", 1)),
        ('f"{d["k"]=}"', SourcePiece('f"d[\\"k\\"]={d[\'k\']!r}"', 31)),
        ("f'{x:{y:{z}}}'", SourcePiece("f'{x:{f\"{y:{z}}\"}}'", 70)),
        ("f'''{x # c\n}'''", SourcePiece("f'''{x\n}'''", 0, (), ((7, "# c"),))),
        ("f\"{'\\n'.join(x)}\"", SourcePiece('f"{_separator.join(x)}"', 100, (("_separator", "'\\n'"),))),
        ("f\"{'\\1'}2\"", SourcePiece('f"{_text}2"', 100, (("_text", "'\\1'"),))),
    ],
)
def test_the_cheapest_way_comes_first(text: str, cheapest: SourcePiece) -> None:
    candidates = _candidates(text)

    assert candidates[0] == cheapest
    assert [piece.cost for piece in candidates] == sorted(piece.cost for piece in candidates)


def test_other_outer_quotes_are_candidates_too() -> None:
    assert [piece.text for piece in _candidates('f"{d["k"]}"')[1:]] == [
        "f'{d[\"k\"]}'",
        'f"""{d["k"]}"""',
        "f'''{d[\"k\"]}'''",
    ]


def test_lines_keep_an_fstring_triple_quoted() -> None:
    assert {piece.text[:4] for piece in _candidates("f'''{x # c\n}'''")} == {"f'''", 'f"""'}


def test_what_cannot_be_written_for_older_pythons_is_refused() -> None:
    with pytest.raises(UnencodableError, match="t-string"):
        _candidates("f'{t\"a\"}'")
