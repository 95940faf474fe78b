"""BG704 and BG701 for a file that is not in the image: the first hop that loses it is the place."""

from __future__ import annotations

import json
import posixpath

from buildguard.codes import Code
from buildguard.definitions import NamedTuple
from buildguard.project.ignore.rules import parents
from buildguard.project.image_model import is_below
from buildguard.project.target import Certainty
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart


class LostFile(NamedTuple):
    """A file of the project that the start needs and the image lacks, and what needs it.

    `path` is where in the image it is looked for, empty where that follows from what is copied beside it.
    """

    source: str
    reason: str
    path: str = ""


def report_lost(image: ImageStart, findings: StartupFindings, lost: LostFile, *, is_error: bool = True) -> None:
    """BG704: a file of the project that the start needs, and that does not reach the image."""
    source, reason, path = lost
    if submodule := image.files.submodule_of(source):
        findings.need(submodule, reason)  # BG707
        return
    if _report_unsent(image, findings, source, reason, is_error=is_error):
        return
    line = image.tree.last_copy
    if line is None or not image.dockerfile:
        findings.leave_open(FindingPlace(image.dockerfile, image.start_line), f"no COPY in {image.dockerfile}")
        return
    outside = bool(image.service.context) and not source.startswith(f"{image.service.context}/")
    if outside and image.service.basis.known is Certainty.GUESSED:
        findings.leave_open(
            FindingPlace(image.dockerfile, line), f"{source} is outside of the folder that is guessed to be the context"
        )
        return
    message = f"{source} is needed, and no COPY puts it into the image: {reason}"
    if outside:
        message = f"{source} is needed, and it is outside of the build context {image.service.context}: {reason}"
    hint = (
        f"set context in [[tool.buildguard.service]], or move {source} into it"
        if outside
        else _copy_of(image, source, path)
    )
    findings.add(Code.BG704, FindingPlace(image.dockerfile, line, source), message, hint, is_error=is_error)


def _report_unsent(image: ImageStart, findings: StartupFindings, source: str, reason: str, *, is_error: bool) -> bool:
    """BG704 at the rule that keeps a file from being sent; whether there is one."""
    files = list(image.files.below(source)) if image.files.is_folder(source) else [source]
    first = next((path for path in files if path.endswith(".py")), source)
    rule = image.sent.dropped_by(first)
    if rule is None or not rule.line:
        return False
    sender = "gcloud does not send it" if image.sent.gcloud_rule(first) is not None else "docker does not send it"
    message = f"{source} is needed, and {sender} ({rule.text}): {reason}"
    hint = f"remove the rule, or add a line `!{_inside(image, source)}` after it"
    findings.add(Code.BG704, FindingPlace(rule.file, rule.line, source), message, hint, is_error=is_error)
    return True


def _copy_of(image: ImageStart, source: str, path: str) -> str:
    """The COPY that brings a file to its place; of a folder that the image lacks altogether it copies the folder."""
    context, tree = image.service.context, image.tree
    folders = [folder for folder in parents(source) if not context or folder.startswith(f"{context}/")]
    lost = next((folder for folder in folders if not any(map(tree.holds, image.files.below(folder)))), "")
    inside = source.removeprefix(lost) if lost else f"/{posixpath.basename(source)}"
    place = tree.place_of(lost) if lost else posixpath.dirname(tree.place_of(source))
    if path.endswith(inside):
        place = path.removesuffix(inside) or "/"
    if is_below(place, tree.model.workdir):
        place = posixpath.normpath(f"./{posixpath.relpath(place, tree.model.workdir)}")
        place = "./" if place == "." else f"./{place}/"
    words = [_inside(image, lost) + "/" if lost else _inside(image, source), place]
    is_plain = not any(" " in word for word in words)
    return f"add it: COPY {' '.join(words) if is_plain else json.dumps(words, ensure_ascii=False)}"


def _inside(image: ImageStart, source: str) -> str:
    """A path of the project as the build context has it."""
    return source.removeprefix(f"{image.service.context}/") if image.service.context else source
