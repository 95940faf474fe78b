"""pydantic's validation errors of settings: which fields are missing, and which are wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern

_HEADER = lazy_pattern(r"(?:^|\s)(?:[\w.]*ValidationError: )?(?P<count>\d+) validation errors? for (?P<model>\w+)")
_DETAIL = lazy_pattern(r"\[type=(?P<new>\w+)|\(type=(?P<old>[\w.]+)|(?P<plain>[Ff]ield required)")
_LOCATION = lazy_pattern(r"[\w.]+(?:(?: -> |\.)\w+)*$")
_MODEL = lazy_pattern(r"(?i)settings|config|options|environ|secrets|env$")
_SETTINGS = ("env_settings", "pydantic_settings", "BaseSettings")
_BEFORE, _LONGEST = 60, 400
_MISSING = frozenset({"missing", "value_error.missing"})


class SettingsError(NamedTuple):
    """One validation error of settings: the line of its header, the last line of it, and the fields by kind."""

    line: int
    last: int
    model: str
    missing: tuple[str, ...]
    wrong: tuple[tuple[str, str], ...]


def read_settings_errors(lines: Sequence[str]) -> Iterator[SettingsError]:
    """Every validation error of a class that reads settings; one of other data is the program's own matter."""
    for at, line in enumerate(lines):
        if " validation error" not in line or (match := _HEADER.search(line)) is None:
            continue
        fields, last = _fields(lines, at)
        if fields and _is_settings(match["model"], [name for name, _kind in fields], lines[max(0, at - _BEFORE) : at]):
            missing = tuple(_variable(name) for name, kind in fields if kind in _MISSING)
            wrong = tuple((name, kind) for name, kind in fields if kind not in _MISSING)
            yield SettingsError(at + 1, last + 1, match["model"], missing, wrong)


def _fields(lines: Sequence[str], at: int) -> tuple[list[tuple[str, str]], int]:
    """The fields below a header, each with its kind, and the index of the last line of them."""
    fields: list[tuple[str, str]] = []
    name, last = "", at
    for number in range(at + 1, min(len(lines), at + _LONGEST)):
        text = lines[number].strip()
        if not text or text.startswith("For further information"):
            continue
        if detail := _DETAIL.search(text):
            if name:
                kind = detail["new"] or detail["old"] or "missing"
                fields.append((name, kind))
            name, last = "", number
        elif _LOCATION.match(text):
            name = text
        elif not name:
            break
    return fields, last


def _is_settings(model: str, names: Sequence[str], before: Sequence[str]) -> bool:
    return (
        _MODEL.search(model) is not None
        or all(name.isupper() for name in names)
        or any(word in line for line in before for word in _SETTINGS)
    )


def _variable(name: str) -> str:
    return name.replace(" -> ", "__").replace(".", "__").upper()
