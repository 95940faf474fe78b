"""The exceptions that loggers write as fields of a JSON entry, as Python prints them. Pure.

structlog's list of frames, Elastic's and Loguru's type and message, and tracebacks as texts anywhere below.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_TRACEBACKS = frozenset({"exception", "exc_info", "stack", "stack_trace", "stacktrace", "traceback"})
_TYPES, _MESSAGES = ("exc_type", "type", "class", "name"), ("exc_value", "value", "message")
_OF_PLATFORM = frozenset({"resource", "labels", "httpRequest", "protoPayload", "jsonPayload", "sourceLocation"})
_DEEPEST, _MOST_FRAMES = 4, 100
_ENDINGS = ("Error", "Exception", "Exit", "Timeout", "Group", "Denied", "NotFound", "Unavailable", "Improperly")


def exception_texts(fields: Mapping[str, Any]) -> Iterator[str]:
    """Each exception in the nested fields of an entry; texts at its top are read elsewhere."""
    yield from _below(fields, 0)


def _within(value: Any, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        return
    if isinstance(value, list):
        # the cause comes after what came of it, and is printed before it
        for item in reversed(value[:_MOST_FRAMES]):
            yield from _within(item, depth + 1)
    elif isinstance(value, dict):
        yield from _tracebacks(value) or list(filter(None, [_exception(value)])) or _below(value, depth)


def _below(table: Mapping[str, Any], depth: int) -> Iterator[str]:
    """The exceptions in the fields of a table."""
    for key, item in table.items():
        if key not in _OF_PLATFORM and not isinstance(item, str):
            yield from _within(item, depth + 1)


def _tracebacks(table: Mapping[str, Any]) -> list[str]:
    return [table[key] for key in sorted(_TRACEBACKS & table.keys()) if isinstance(table[key], str)]


def _exception(table: Mapping[str, Any]) -> str:
    """An exception that has its type and its message in two fields, with its frames; empty for another table."""
    kind = _first_text(table, _TYPES)
    if not kind.endswith(_ENDINGS) or " " in kind:
        return ""
    lines = list(_frames(table.get("frames")))
    start = ["Traceback (most recent call last):", *lines] if lines else []
    return "\n".join([*start, f"{kind}: {_first_text(table, _MESSAGES)}"])


def _first_text(table: Mapping[str, Any], names: Iterable[str]) -> str:
    return next((table[name] for name in names if isinstance(table.get(name), str)), "")


def _frames(frames: Any) -> Iterator[str]:
    for frame in frames[:_MOST_FRAMES] if isinstance(frames, list) else []:
        if isinstance(frame, dict) and isinstance(frame.get("lineno"), int):
            yield f'  File "{frame.get("filename")}", line {frame["lineno"]}, in {frame.get("name")}'
