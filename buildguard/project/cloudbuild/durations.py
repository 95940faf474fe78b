"""Durations of a build file: seconds as the API's JSON has them, and Go's `1h20m`, which build files use as well. Pure."""

from __future__ import annotations

import re

_SECONDS = re.compile(r"-?\d+(?:\.\d{1,9})?s")
_GO = re.compile(r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float | None:
    """The seconds of a duration, None for anything else."""
    if _GO.fullmatch(text) is None:
        return None
    size = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return -size if text.startswith("-") else size


def is_json_duration(text: str) -> bool:
    """Whether a duration is written as the API's JSON wants it: `600s`."""
    return _SECONDS.fullmatch(text) is not None


def as_json_duration(text: str) -> str:
    """A duration in seconds, `1h` as `3600s`; any other text unchanged."""
    size = parse_duration(text)
    if size is None or is_json_duration(text):
        return text
    return f"{size:.9f}".rstrip("0").rstrip(".") + "s"
