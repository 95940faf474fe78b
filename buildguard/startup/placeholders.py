"""BG707: placeholders in place of content: Git LFS pointers, and submodules that are not checked out."""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.startup.copies import named_sources, step_maker
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart


def check_placeholders(image: ImageStart, findings: StartupFindings) -> None:
    """BG707 for each placeholder that reaches the image: an error where the start needs it, a warning elsewhere."""
    for path in sorted(image.placeholders):
        is_submodule = path in image.files.submodules
        line = _copies_folder(image, path) if is_submodule else _copies_file(image, path)
        needed = findings.why_needed(path)
        if line is None and (not needed or not is_submodule or path in findings.explained_placeholders):
            continue
        if maker := step_maker(image):
            findings.leave_open(FindingPlace(path), f"{maker} may fetch it")
        elif is_submodule:
            _report_submodule(image, findings, path, line)
        elif not path.endswith(".py"):  # of a source BG106 says so
            _report_pointer(image, findings, path, line)


def _copies_file(image: ImageStart, path: str) -> int | None:
    placed = image.tree.holds(path)
    return placed.line if placed is not None else None


def _report_pointer(image: ImageStart, findings: StartupFindings, path: str, line: int | None) -> None:
    needed = findings.why_needed(path)
    message = f"{path} is a Git LFS pointer, and {image.copied_by(line)}"
    words = f"{message}: {needed}" if needed else message
    hint = "git lfs pull, here and in the build before docker"
    findings.add(Code.BG707, FindingPlace(path), words, hint, is_error=bool(needed))


def _report_submodule(image: ImageStart, findings: StartupFindings, path: str, line: int | None) -> None:
    needed = findings.why_needed(path)
    copied = f"{image.copied_by(line)} without its files" if line is not None else "the image has none of its files"
    message = f"the submodule {path} is not checked out, and {copied}"
    place = FindingPlace(image.dockerfile or ".gitmodules", line)
    words = f"{message}: {needed}" if needed else message
    findings.add(Code.BG707, place, words, "git submodule update --init", is_error=bool(needed))


def _copies_folder(image: ImageStart, path: str) -> int | None:
    """The line that copies a folder around a submodule, whatever is in it; that of the build context without a Dockerfile."""
    if image.sent.dropped_by(path) is not None:
        return None
    around = (step.line for step, source in named_sources(image) if not source or path.startswith(f"{source}/"))
    return next(around, None)
