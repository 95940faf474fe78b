"""`verify` in `[tool.buildguard.deploy]`: the commands that test a revision, and what has to come of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UsageError

# Raises nothing: makes the error about a key, from the key, what is wrong, and an example.
WrongKey = Callable[[str, str, str], UsageError]

_EXAMPLE = 'verify = ["pytest tests/e2e", {run = "curl -fsS $BUILDGUARD_URL/version", tests = false}]'
_PATTERN_EXAMPLE = 'pattern = "Passed: {passed} Failed: {failed}"'
_FIELD = lazy_pattern(r"\\\{(passed|failed|errors|skipped)\\\}")
_COMMAND_TYPES: Mapping[str, tuple[type, ...]] = {
    "run": (str,),
    "gate": (int, float),
    "tests": (bool,),
    "pattern": (str,),
}
_KNOWN_EXAMPLE = 'known-failures = [{test = "tests/e2e/test_a.py::test_b", reason = "…", until = 2027-01-31}]'
_FIELDS = frozenset({"passed", "failed", "errors", "skipped"})
_LONGEST_PATTERN = 300
_IS_EXPRESSION = "(?P<passed>"
_REPEATED_GROUP = lazy_pattern(r"\)[*+{]")  # what makes an expression take for ever


class VerifyCommand(NamedTuple):
    """A command that tests a revision. `gate` is the share of its tests that has to pass, more than 0 and at most 1.

    `tests` is False for a probe, which runs none; `pattern` is how its runner reports.
    """

    run: str
    gate: float = 1.0
    tests: bool = True
    pattern: str = ""

    @property
    def pattern_expression(self) -> re.Pattern[str] | None:
        """The pattern as a regular expression over one line; None without a pattern."""
        return compile_pattern(self.pattern) if self.pattern else None


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """`{passed}` and its like stand for numbers, a space for any number of them; the rest is literal.

    A regular expression with groups of these names does as well.
    """
    if _IS_EXPRESSION in pattern:
        return re.compile(pattern)
    words = [_FIELD.sub(r"(?P<\1>[0-9]{1,9})", re.escape(word)) for word in pattern.split()]
    return re.compile(r"\s*".join(words) if len(words) == 1 else r"\s+".join(words))


def parse_verify(table: Mapping[str, Any], wrong: WrongKey) -> tuple[VerifyCommand, ...]:
    """The commands, each as a string or as a table; raises UsageError for anything else."""
    value = table.get("verify", [])
    entries = [value] if isinstance(value, str) else value
    default = VerifyCommand("", tests=table.get("tests", True), pattern=table.get("pattern", ""))
    if default.pattern:
        _check_pattern("pattern", default.pattern, wrong)
    return tuple(_parse_command(entry, default, wrong) for entry in entries)


def _parse_command(entry: Any, default: VerifyCommand, wrong: WrongKey) -> VerifyCommand:
    if isinstance(entry, str):
        return default._replace(run=entry)
    if not isinstance(entry, dict) or not str(entry.get("run", "")).strip():
        raise wrong("verify", "'verify' must be a list of commands: strings, or tables with 'run'", _EXAMPLE)
    for key, value in entry.items():
        if key not in _COMMAND_TYPES:
            raise wrong("verify", f"unknown key 'verify.{key}'", f"known keys: {', '.join(_COMMAND_TYPES)}")
        if type(value) not in _COMMAND_TYPES[key]:
            raise wrong("verify", f"'verify.{key}' has the wrong type", _EXAMPLE)
    if not 0 < entry.get("gate", 1) <= 1:
        raise wrong("verify", f"gate = {entry['gate']} is not a share of the tests", "gate = 0.9 is 90 %")
    if entry.get("pattern"):
        _check_pattern("verify", entry["pattern"], wrong)
    return default._replace(**entry)


class KnownFailure(NamedTuple):
    """A test that may fail until a day, and why."""

    test: str
    reason: str
    until: date


def parse_known_failures(table: Mapping[str, Any], wrong: WrongKey) -> tuple[KnownFailure, ...]:
    """The known failures; raises UsageError for one without a test, a reason and a day."""
    return tuple(_parse_known(entry, wrong) for entry in table.get("known-failures", []))


def _parse_known(entry: Any, wrong: WrongKey) -> KnownFailure:
    error = wrong("known-failures", "each known failure needs a test, a reason and a day (until)", _KNOWN_EXAMPLE)
    if not isinstance(entry, dict) or entry.keys() != {"test", "reason", "until"}:
        raise error
    until = _day(entry["until"])
    texts = [entry["test"], entry["reason"]]
    if until is None or not all(isinstance(text, str) and text.strip() for text in texts):
        raise error
    return KnownFailure(entry["test"], entry["reason"], until)


def _day(value: Any) -> date | None:
    """A TOML date, or the same as a string."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        return None


def _check_pattern(key: str, pattern: str, wrong: WrongKey) -> None:
    if _IS_EXPRESSION in pattern:
        _check_expression(key, pattern, wrong)
        return
    fields = re.findall(r"\{(.*?)\}", pattern)
    if len(pattern) > _LONGEST_PATTERN or "passed" not in fields or len(set(fields)) != len(fields):
        raise wrong(key, f"pattern = {pattern!r} must have {{passed}} once, and may have {{failed}}", _PATTERN_EXAMPLE)
    if unknown := set(fields) - _FIELDS:
        names = "{passed}, {failed}, {errors} and {skipped}"
        raise wrong(key, f"pattern = {pattern!r} has {{{min(unknown)}}}; known are {names}", _PATTERN_EXAMPLE)


def _check_expression(key: str, pattern: str, wrong: WrongKey) -> None:
    try:
        groups = set(re.compile(pattern).groupindex)
    except (re.error, RecursionError) as error:
        raise wrong(key, f"pattern = {pattern!r} is no regular expression: {error}", _PATTERN_EXAMPLE) from error
    if groups - _FIELDS or _REPEATED_GROUP.search(pattern) or len(pattern) > _LONGEST_PATTERN:
        what = "may have the groups passed, failed, errors and skipped, and may repeat no group"
        raise wrong(key, f"pattern = {pattern!r} {what}", _PATTERN_EXAMPLE)
