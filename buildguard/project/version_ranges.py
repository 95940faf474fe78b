"""Ranges of Python versions, as PEP 440 and poetry have them: "^3.9" and "3.11 || 3.12.1" in the form of PEP 440. Pure."""

from __future__ import annotations

from collections.abc import Callable

from buildguard.definitions import lazy_pattern

_OR = lazy_pattern(r"\s*\|\|?\s*")
_CLAUSE = lazy_pattern(r"(?P<operator>[<>=!~^]*)\s*v?(?P<version>[^\s,<>=!~^]+)")
_ANY_PART = lazy_pattern(r"(?:\.[xX*])+$")
_PLAIN = lazy_pattern(r"\d+(?:\.\d+)*")
_OPERATORS = {"=": "==", "<>": "!="}
_STARS = frozenset({"*", "x", "X"})
_OF_MINOR = 2  # parts of 3.11


def to_pep440(text: str) -> str:
    """A range in the form of PEP 440, its alternatives divided by "||"; what is no range stays as it is."""
    joined = [_joined(alternative) for alternative in _OR.split(text.strip()) if alternative.strip()]
    return text if "" in joined else " || ".join(joined)


def _joined(text: str) -> str:
    """Clauses that all have to hold, which commas or spaces divide; empty for what is no range."""
    if _CLAUSE.sub("", text).strip(" ,\t\r\n"):
        return ""
    return ",".join(_clause(match["operator"], match["version"]) for match in _CLAUSE.finditer(text))


def _clause(operator: str, version: str) -> str:
    """A clause in the standard form: carets, tildes and versions without an operator are poetry's own."""
    operator, numbers = _OPERATORS.get(operator, operator), _ANY_PART.sub("", version)
    if version in _STARS and operator in {"", "=="}:
        return ">=0"
    read = _OWN_FORMS.get(operator)
    return f"{operator}{numbers}" if read is None else read(operator, numbers, numbers != version)


def _bare(_operator: str, numbers: str, is_open: bool) -> str:
    """A version that names no patch release stands for each of them."""
    is_short = _PLAIN.fullmatch(numbers) is not None and numbers.count(".") < _OF_MINOR
    return f"=={numbers}.*" if is_open or is_short else f"=={numbers}"


def _up_to_next(operator: str, numbers: str, _is_open: bool) -> str:
    kept = numbers.split(".")[: 1 if operator == "^" else _OF_MINOR]
    return f">={numbers},=={'.'.join(kept)}.*"


def _equal(operator: str, numbers: str, is_open: bool) -> str:
    return f"{operator}{numbers}.*" if is_open else f"{operator}{numbers}"


_OWN_FORMS: dict[str, Callable[[str, str, bool], str]] = {
    "": _bare,
    "^": _up_to_next,
    "~": _up_to_next,
    "==": _equal,
    "!=": _equal,
}
