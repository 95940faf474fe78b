"""BG703: the stage that `COPY --from` names is one that the build has by then."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile, image_reference
from buildguard.project.dockerfile import DockerfileStage, Instruction
from buildguard.project.image_build import knows_base
from buildguard.project.image_model import SYSTEM_FOLDERS
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart

_NUMBER = lazy_pattern(r"[+-]?\d{1,9}")
_NAME = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REFERENCE = lazy_pattern(
    rf"(?:(?:[\w-]+[.:][\w.:-]*|localhost)/)?{_NAME}(?:/{_NAME})*(?::\w[\w.-]{{0,127}})?(?:@[\w.+-]+:[0-9a-fA-F]{{32,}})?"
)
# What the base image of a stage may have itself, before any of its instructions.
_MAY_BE_BASE = lazy_pattern(
    r"/(?:bin|boot|dev|etc|lib\w*|proc|run|sbin|sys|usr|var)(?:/|$)|/root/\.(?:bashrc|profile)|.*[*?\[$]"
)
_ALIKE = 0.6


class _StageUse(NamedTuple):
    """A COPY from what may be a stage: the number of its own stage, the instruction and the name that it gives."""

    number: int
    step: Instruction
    origin: str


def check_stages(image: ImageStart, findings: StartupFindings) -> None:
    """Report each COPY from a stage that is certainly missing, or that is not built by then."""
    stages = image.stages
    needed = dockerfile.needed_stages(stages, image.service.stage)
    for number, stage in enumerate(stages[: max(needed, default=-1) + 1]):
        for step in stage.instructions:
            origin = next((flag.removeprefix("--from=") for flag in step.flags if flag.startswith("--from=")), "")
            if step.name == "COPY" and origin:
                _check(_StageUse(number, step, origin), image, findings, is_needed=number in needed)


def _check(use: _StageUse, image: ImageStart, findings: StartupFindings, *, is_needed: bool) -> None:
    place, shown = FindingPlace(image.dockerfile, use.step.line), f"COPY --from={use.origin}"
    stages = image.stages
    if _NUMBER.fullmatch(use.origin) and not 0 <= int(use.origin) < len(stages):
        message = f"{shown} names no stage: {_extent(stages)}"
        findings.add(Code.BG703, place, message, "name the stage: FROM … AS builder, and COPY --from=builder")
    elif is_needed:
        reason, is_certain = _problem(use, stages)
        if is_certain:
            findings.add(Code.BG703, place, f"{shown} {reason}", "put the stage that is copied from above this one")
        elif reason:
            findings.leave_open(place, f"{shown} {reason}")


def _extent(stages: Sequence[DockerfileStage]) -> str:
    return "there is one, 0" if len(stages) == 1 else f"there are {len(stages)}, 0 to {len(stages) - 1}"


def _problem(use: _StageUse, stages: Sequence[DockerfileStage]) -> tuple[str, bool]:
    """What is wrong with the origin of a COPY, empty where nothing is known to be, and whether the build certainly fails."""
    number = _numbered(use, stages)
    if number is None:
        return _of_image(use.origin, stages)
    if number < use.number:
        return "", False
    may_be_image = (
        not _NUMBER.fullmatch(use.origin) and use.origin.lower() == image_reference.parse(stages[number].base).last
    )
    if use.number in dockerfile.needed_stages(stages, str(number)):
        return f"copies from {_line(stages[number])}, which needs this stage itself", not may_be_image
    is_new = _is_made_there(use.step, stages[number], stages)
    return f"copies from {_line(stages[number])}, which is built after this stage", is_new and not may_be_image


def _numbered(use: _StageUse, stages: Sequence[DockerfileStage]) -> int | None:
    """The stage that an origin means, the earlier of two with one name; None for an image."""
    if _NUMBER.fullmatch(use.origin):
        return int(use.origin)
    return next((at for at, stage in enumerate(stages) if stage.alias == use.origin.lower()), None)


def _line(stage: DockerfileStage) -> str:
    return f"the stage in line {stage.line}"


def _of_image(origin: str, stages: Sequence[DockerfileStage]) -> tuple[str, bool]:
    """The same for an origin that is no stage, and so an image."""
    if "$" in origin:
        return "names a variable, which docker does not fill in there", False
    if not _REFERENCE.fullmatch(origin):
        return "names no stage, and no image can have that name", True
    from difflib import get_close_matches

    names = [stage.alias for stage in stages if stage.alias]
    close = [] if set(origin) & set("/:@.") else get_close_matches(origin, names, n=1, cutoff=_ALIKE)
    return (
        f"names no stage, so docker pulls an image of that name; there is a stage {close[0]}" if close else ""
    ), False


def _is_made_there(step: Instruction, stage: DockerfileStage, stages: Sequence[DockerfileStage]) -> bool:
    """Whether a source is surely made by the instructions of a stage, and not part of its base image."""
    if not knows_base(stage.base) or any(stage.base.lower() == other.alias for other in stages):
        return False
    paths = [posixpath.normpath(posixpath.join("/", word)) for word in dockerfile.source_words(step.text)[:-1]]
    return any(path not in SYSTEM_FOLDERS and not _MAY_BE_BASE.match(path) for path in paths)
