"""What is known of a line of a log beside its text: its level, the revision or execution that wrote it, and a build step. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern

LOW, WARNING = "low", "warning"
# What loggers put first: WARNING:root:, [7] [WARNING], app.db - WARNING -, | WARNING |, WARNING/MainProcess], [warning  ].
_OF_TEXT = lazy_pattern(
    r"[^\w\n]{0,3}(?:\[\d+\] )?(?:[\w.]{1,80} - |\[[\w.:-]{1,80}\] )?\W{0,2}"
    r"(?:(?P<warning>WARN(?:ING)?|warn(?:ing)?)|(?P<low>INFO|DEBUG|NOTICE|TRACE|info|debug))(?=[\s:|/\]-])"
)
_OF_PAIR = lazy_pattern(r"(?:^|\s)level=\"?(?:(?P<warning>warn(?:ing)?)|(?P<low>info|debug|trace))\b")
_OF_GLOG = lazy_pattern(r"(?:(?P<warning>W)|(?P<low>I))\d{4} \d\d:\d\d:\d\d")
_NEAR = 200  # characters of a line in which its level is
_ORIGINS = ("run.googleapis.com/execution_name", "revision_name")
_FIELDS = ("severity", "level", "levelname", "log.level", "lvl")
_LOW_NAMES = frozenset({"info", "debug", "notice", "trace", "informational", "10", "20", "100", "200", "300"})
_WARNING_NAMES = frozenset({"warn", "warning", "400"})


class LineContext(NamedTuple):
    """The level of a line (`LOW`, `WARNING`, or empty for an error or an unknown one), who wrote it, and if in a build step."""

    level: str = ""
    origin: str = ""
    is_of_step: bool = False


NO_CONTEXT = LineContext()


def level_of(line: str) -> str:
    """The level that a line of text names at its beginning."""
    start = line[:_NEAR]
    match = _OF_TEXT.match(start) or _OF_GLOG.match(start) or ("level=" in start and _OF_PAIR.search(start))
    return "" if not match else WARNING if match["warning"] else LOW


def level_of_fields(fields: Mapping[str, Any]) -> str:
    """The level that a program gave a structured entry; that of a text comes from who collected it, and of an audit from Google."""
    if "textPayload" in fields or "protoPayload" in fields:
        return ""
    names = _level_names(fields)
    if not names or names - _LOW_NAMES - _WARNING_NAMES:
        return ""
    return WARNING if _WARNING_NAMES & names else LOW


def _level_names(fields: Mapping[str, Any]) -> set[str]:
    """The levels that an entry names, whatever its logger calls the field."""
    names = {str(fields[name]).strip().lower() for name in _FIELDS if isinstance(fields.get(name), str | int)}
    return names - {"default", ""}


def origin_of(fields: Mapping[str, Any]) -> str:
    """The revision of a service or the execution of a job that wrote an entry; empty if unknown."""
    resource = fields.get("resource")
    labels = [fields.get("labels"), resource.get("labels") if isinstance(resource, dict) else None]
    tables = [table for table in labels if isinstance(table, dict)]
    names = (str(table.get(name) or "") for table in tables for name in _ORIGINS)
    return next(filter(None, names), "")
