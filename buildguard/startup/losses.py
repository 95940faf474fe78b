"""BG704 and BG701 for a file that is not in the image: the first hop that loses it is the place."""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.project.target import Certainty
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart


def report_lost(
    image: ImageStart, findings: StartupFindings, source: str, reason: str, *, is_error: bool = True
) -> None:
    """BG704: a file of the project that the start needs, and that does not reach the image; `reason` says what needs it."""
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
    hint = f"add it: COPY {_inside(image, source)} ./"
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


def _inside(image: ImageStart, source: str) -> str:
    """A path of the project as the build context has it."""
    return source.removeprefix(f"{image.service.context}/") if image.service.context else source
