"""What was promised of an image, against what the interpreter in it says. Pure."""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity
from buildguard.engines.engine import ReadyEngine
from buildguard.project import image_reference
from buildguard.project.target import PythonVersion, Target, admits


def find_broken_promises(target: Target, ready: ReadyEngine) -> list[Diagnostic]:
    """BG402: the tag, or whoever declared the target, promises another Python than the image runs."""
    runs = PythonVersion.parse(ready.version)
    promises: list[tuple[PythonVersion | str, str]]
    if target.specifier:
        promises = (
            []
            if runs is not None and admits(target.specifier, runs)
            else [(target.specifier, _describe_promise(target))]
        )
    else:
        promises = [(target.version, _describe_promise(target))] if target.version is not None else []
    tag = image_reference.promised_version(ready.image)
    if tag is not None and tag != target.version:
        promises.append((tag, "its name says"))
    file, line = target.place
    return [
        Diagnostic(
            Code.BG402,
            Severity.ERROR,
            None if file is None else DisplayPath(file),
            Range(line),
            f"{ready.image} runs {ready.interpreter}, but {who} Python {wanted}",
            "judge by what runs: declare that version, or name an image that holds the one you mean",
            target.python,
            ready.engine,
        )
        for wanted, who in promises
        if isinstance(wanted, str) or runs is None or not _satisfies(runs, wanted)
    ]


def _describe_promise(target: Target) -> str:
    return f"{target.found_in} says"


def _satisfies(runs: PythonVersion, wanted: PythonVersion) -> bool:
    return runs.minor == wanted.minor and wanted.patch in {None, runs.patch}


def find_unpinned(target: Target, ready: ReadyEngine, reference: str) -> list[Diagnostic]:
    """BG404: the base image that a file names may be another one at the next build."""
    file, line = target.place
    if file is None or not reference or "@sha256:" in reference:
        return []
    pinned = f"{reference}@{ready.image_digest}"
    hint = (
        f"pin it: {pinned}" if ready.image_digest else "push it to a registry, and name it with the digest that it gets"
    )
    message = f"{reference} is not pinned by digest: the next build may run another Python than {ready.version}"
    return [
        Diagnostic(
            Code.BG404, Severity.WARNING, DisplayPath(file), Range(line), message, hint, target.python, ready.engine
        )
    ]
