"""What releases of Python from 3.12 on disagree on in f-strings: a repair never relies on any of it. Data.

Measured with 3.12.1, 3.12.7, 3.13.0, 3.13.2, 3.14.2 and 3.15.0rc1; the tests hold each row against every release at hand.
"""

from __future__ import annotations

from enum import Enum

from buildguard.definitions import NamedTuple


class ReleaseAnswer(NamedTuple):
    """What releases from one to another (both measured) print, or the name of the error that they raise."""

    first: str
    last: str
    printed: str


class DisagreementRow(NamedTuple):
    """Why a repair is refused, a program that shows the disagreement, and what releases make of it."""

    reason: str
    example: str
    answers: tuple[ReleaseAnswer, ...]


_TEXT = "Python versions print the text of a `=` field differently if it contains a backslash, # or !="
_NEWEST = "3.15.0"


class Disagreement(Enum):
    """Each known disagreement; `d`, `w` and `x` in an example are a dictionary with `a`, a width and a number."""

    BACKSLASH_IN_TEXT = DisagreementRow(
        _TEXT,
        "print(f\"{'\\t'.join(d)=}\")",
        (
            ReleaseAnswer("3.12.1", "3.13.0", "'\t'.join(d)='a'\n"),
            ReleaseAnswer("3.13.2", _NEWEST, "'\\t'.join(d)='a'\n"),
        ),
    )
    HASH_IN_TEXT = DisagreementRow(
        _TEXT,
        "print(f'{str('#')=}')",
        (ReleaseAnswer("3.12.1", "3.13.2", "str(''#'\n"), ReleaseAnswer("3.14.2", _NEWEST, "str('#')='#'\n")),
    )
    NOT_EQUAL_IN_TEXT = DisagreementRow(
        _TEXT,
        "print(f'{'a'!=w=}')",
        (ReleaseAnswer("3.12.1", "3.13.0", "'a'True\n"), ReleaseAnswer("3.13.2", _NEWEST, "'a'!=w=True\n")),
    )
    NESTED_COMMENT_IN_TEXT = DisagreementRow(
        _TEXT,
        "print(f'{f\"{x # why\n}\"=}')",
        (
            ReleaseAnswer("3.12.1", "3.13.2", "f\"{x \n}\"='5'\n"),
            ReleaseAnswer("3.14.2", _NEWEST, "f\"{x # why\n}\"='5'\n"),
        ),
    )
    TEXT_IN_SPEC = DisagreementRow(
        "Pythons do not agree on what `=` shows in a format spec",
        "print(f'{x:{w}{d['a']=}}')",
        (
            ReleaseAnswer("3.12.1", "3.12.1", "ValueError: field 'value' is required for Constant"),
            ReleaseAnswer("3.12.7", "3.13.0", "ValueError: Invalid format specifier '3w1' for object of type 'int'"),
            ReleaseAnswer(
                "3.13.2", _NEWEST, "ValueError: Invalid format specifier '3w}{d['a']=1' for object of type 'int'"
            ),
        ),
    )
    BRACES_IN_SPEC = DisagreementRow(
        "Pythons do not agree on doubled braces behind a field of a format spec",
        "print(f'{x:{w}a{{}')",
        (
            ReleaseAnswer("3.12.1", "3.12.1", "SyntaxError: f-string: expecting '}'"),
            ReleaseAnswer("3.12.7", _NEWEST, "ValueError: Invalid format specifier '3a{' for object of type 'int'"),
        ),
    )
    BACKSLASH_IN_RAW_SPEC = DisagreementRow(
        "Pythons do not agree on a backslash in the format spec of a raw f-string",
        "print(f'{rf\"{x:\\x20>3}\"}')",
        (
            ReleaseAnswer("3.12.1", "3.13.2", "  5\n"),
            ReleaseAnswer("3.14.2", _NEWEST, "ValueError: Invalid format specifier '\\x20>3' for object of type 'int'"),
        ),
    )

    @property
    def reason(self) -> str:
        """Why a repair that would rely on it is refused."""
        return self.value.reason
