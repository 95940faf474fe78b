"""Where a result goes: stdout, one file, or several formats at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from buildguard.cli.render.formats import FORMATS
from buildguard.cli.render.styling import unstyle
from buildguard.cli.terminal import ColorChoice, wants_color
from buildguard.definitions import NamedTuple
from buildguard.errors import UnprovenError, UsageError, did_you_mean


class Destination(NamedTuple):
    """One rendering of the result, and its file; None is stdout."""

    form: str
    file: Path | None


def destinations(form: str | None, outputs: Sequence[str]) -> tuple[Destination, ...]:
    """Where `--format` and `--output` send the result; raises UsageError if they contradict each other."""
    pairs = [_pair(output) for output in outputs]
    if not any(pair for pair in pairs):
        return (_single(form or "text", outputs),)
    if not all(pair for pair in pairs):
        raise UsageError(
            "--output FILE and --output FORMAT=FILE cannot be combined", hint="name the format of each: --output text=-"
        )
    if form is not None:
        raise UsageError("--format and --output FORMAT=FILE cannot be combined", hint=f"for stdout: --output {form}=-")
    return _distinct([pair for pair in pairs if pair is not None])


def _single(form: str, outputs: Sequence[str]) -> Destination:
    if len(outputs) > 1:
        raise UsageError("several --output need a format each", hint="--output sarif=FILE --output text=-")
    return Destination(form, _file(outputs[0]) if outputs else None)


def _pair(output: str) -> Destination | None:
    """A format and its file; None for a file alone, which may hold a `=` behind a `/`."""
    form, equals, file = output.partition("=")
    if not equals or "/" in form:
        return None
    if form not in FORMATS:
        raise _unknown_format(output, form, file)
    if not file:
        raise UsageError(
            f"--output {output}: the file is missing", hint=f"--output {form}=FILE, or {form}=- for stdout"
        )
    return Destination(form, _file(file))


def _unknown_format(output: str, form: str, file: str) -> UsageError:
    hint = did_you_mean(form, FORMATS, f"a file of that name: --output ./{output}")
    if form == "html":
        hint = f"--html {file}"
    return UsageError(f"--output {output}: unknown format '{form}'; the formats are {', '.join(FORMATS)}", hint=hint)


def _distinct(pairs: list[Destination]) -> tuple[Destination, ...]:
    files = [str(pair.file or "stdout") for pair in pairs]
    for file in files:
        if files.count(file) > 1:
            raise UsageError(f"two --output write to {file}", hint="give each format a file of its own")
    return tuple(pairs)


def _file(text: str) -> Path | None:
    if text == "-":
        return None
    file = Path(text)
    if file.is_dir():
        raise UsageError(f"--output {text}: this is a folder", hint="name a file in it")
    return file


def stdout_file() -> Path | None:
    """The file that the shell put behind stdout; None for a pipe or a terminal."""
    try:
        path = Path(os.readlink("/proc/self/fd/1"))
    except OSError:
        return None
    return path if path.is_file() else None


def protect_log(text: str) -> str:
    """A text for stdout; in a log of GitHub Actions, source lines in it are kept from being read as workflow commands."""
    if os.environ.get("GITHUB_ACTIONS") != "true" or sys.stdout.isatty() or stdout_file() is not None or not text:
        return text
    from buildguard.cli.render.github import echoed

    return echoed(text)


def colored(text: str, color: str, *, to_file: bool = False) -> str:
    """A text with its colors if `--color` and the terminal want them, else without."""
    return text if wants_color(ColorChoice(color), to_file=to_file) else unstyle(text)


def deliver(result: str | bytes, output: Path | None, *, is_private: bool = False) -> None:
    """Write the result to a file, for its owner alone if it is private, or to stdout and nothing else with it."""
    if output is not None:
        from buildguard.cli.render.formats import write

        write(result, output, 0o600 if is_private else 0o666)
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(result.encode("utf-8", "backslashreplace") if isinstance(result, str) else result)
    sys.stdout.flush()


def deliver_all(results: Sequence[tuple[str, Path | None]]) -> None:
    """Write every result; one that cannot be written keeps none of the others, and is raised at the end."""
    failed: UnprovenError | None = None
    for text, file in results:
        try:
            deliver(text, file)
        except UnprovenError as error:
            failed = error
    if failed is not None:
        raise failed
