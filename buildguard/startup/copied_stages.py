"""BG703: the stage that `COPY --from` names is one that the build has by then."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile, image_reference
from buildguard.project.dockerfile import DockerfileStage, FinalStage, Instruction
from buildguard.project.dockerfile_python import follow
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
_LIBRARY = lazy_pattern(r"/usr/local/lib/python3\.\d{1,2}(?=/|$)")
_ALIKE = 0.6


class _StageUse(NamedTuple):
    """A COPY from what may be a stage: the number of its own stage, the instruction and the name that it gives."""

    number: int
    step: Instruction
    origin: str


class _Problem(NamedTuple):
    """What is wrong with the origin of a COPY, empty where nothing is known to be; whether the build certainly fails; and what helps."""

    reason: str = ""
    is_certain: bool = False
    hint: str = "put the stage that is copied from above this one"


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
        problem = _problem(use, stages)
        if problem.is_certain:
            findings.add(Code.BG703, place, f"{shown} {problem.reason}", problem.hint)
        elif problem.reason:
            findings.leave_open(place, f"{shown} {problem.reason}")


def _extent(stages: Sequence[DockerfileStage]) -> str:
    return "there is one, 0" if len(stages) == 1 else f"there are {len(stages)}, 0 to {len(stages) - 1}"


def _problem(use: _StageUse, stages: Sequence[DockerfileStage]) -> _Problem:
    """What is wrong with the origin of a COPY."""
    number = _numbered(use, stages)
    if number is None:
        return _of_image(use.origin, stages)
    if number < use.number:
        return _of_library(use.step, follow(stages, number))
    names_image = use.origin.lower() == image_reference.parse(stages[number].base).last
    line = f"the stage in line {stages[number].line}"
    if use.number in dockerfile.needed_stages(stages, str(number)):
        return _Problem(f"copies from {line}, which needs this stage itself", not names_image)
    is_new = _is_made_there(use.step, stages[number], stages)
    return _Problem(f"copies from {line}, which is built after this stage", is_new and not names_image)


def _of_library(step: Instruction, below: FinalStage) -> _Problem:
    """A COPY of the library of a Python that a stage does not have."""
    version = image_reference.promised_version(below.image)
    is_own = image_reference.parse(below.image).last == "python" and not dockerfile.installs_python(below.chain)
    if version is None or not is_own:
        return _Problem()
    own = f"/usr/local/lib/python{version.minor_text}"
    libraries = (
        match[0] for match in map(_LIBRARY.match, dockerfile.source_words(step.text)[:-1]) if match is not None
    )
    texts = "\n".join(step.text for stage in below.chain for step in stage.instructions)
    other = next((library for library in libraries if library != own and library not in texts), "")
    reason = f"needs {other}, and {below.image} (line {below.line}) has {own}"
    return _Problem(reason, True, f"write {own}") if other else _Problem()


def _numbered(use: _StageUse, stages: Sequence[DockerfileStage]) -> int | None:
    """The stage that an origin means, the earlier of two with one name; None for an image."""
    if _NUMBER.fullmatch(use.origin):
        return int(use.origin)
    return next((at for at, stage in enumerate(stages) if stage.alias == use.origin.lower()), None)


def _of_image(origin: str, stages: Sequence[DockerfileStage]) -> _Problem:
    """The same for an origin that is no stage, and so an image."""
    if "$" in origin:
        return _Problem("names a variable, which docker does not fill in there")
    if not _REFERENCE.fullmatch(origin):
        return _Problem(
            "names no stage, and no image can have that name", True, "write the name of a stage or of an image"
        )
    from difflib import get_close_matches

    names = [stage.alias for stage in stages if stage.alias]
    close = [] if set(origin) & set("/:@.") else get_close_matches(origin, names, n=1, cutoff=_ALIKE)
    return _Problem("".join(f"names no stage, so docker pulls an image; there is a stage {name}" for name in close))


def _is_made_there(step: Instruction, stage: DockerfileStage, stages: Sequence[DockerfileStage]) -> bool:
    """Whether a source is surely made by the instructions of a stage, and not part of its base image."""
    if not knows_base(stage.base) or any(stage.base.lower() == other.alias for other in stages):
        return False
    paths = [posixpath.normpath(posixpath.join("/", word)) for word in dockerfile.source_words(step.text)[:-1]]
    return any(path not in SYSTEM_FOLDERS and not _MAY_BE_BASE.match(path) for path in paths)
