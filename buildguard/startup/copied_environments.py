"""Environments that one stage makes and another gets: BG401 where its Python is another, and which of them PATH does not reach."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.project import dockerfile, image_reference
from buildguard.project.dockerfile import DockerfileStage, FinalStage, Instruction
from buildguard.project.dockerfile_python import follow, number_of
from buildguard.project.image_model import is_below
from buildguard.project.target import PythonVersion
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart

_FLAGS = r"(?:(?:-p|--python|--prompt)\s+\S+\s+|--?[\w-]+(?:=\S+)?\s+)*"
# What makes an environment in a folder: the packages lie in its `lib/python3.N/site-packages`.
_MAKES = lazy_pattern(
    rf"(?:-m\s+venv|\bvirtualenv|\buv\s+venv)\s+{_FLAGS}(?P<folder>[^\s;&|-]\S*)|--prefix[= ](?P<prefix>/\S+)"
)
_IN_PLACE = lazy_pattern(r"\buv\s+(?:sync|venv)\b|\bpoetry\s+(?:install|sync)\b|\bpdm\s+(?:install|sync)\b")
_OF_USER = lazy_pattern(r"\bpip3?\s+install\b[^\n;&|]*\s--user\b")
_PACKAGES = lazy_pattern(r"/lib/python3\.(?P<minor>\d{1,2})(?:/(?:site|dist)-packages)?/?$")
_INSTALLER = lazy_pattern(r"\b(?:pip3?|uv|poetry|pdm|pipenv|conda|mamba)\b")
_HOME = "/root/.local"


class _StageCopy(NamedTuple):
    """A COPY from elsewhere: the stage that it takes from (None for an image), what it takes, and where that goes."""

    step: Instruction
    below: FinalStage | None
    sources: tuple[str, ...]
    target: str


class _EnvironmentCopy(NamedTuple):
    """A COPY of an environment: from which stage, the folder that is copied, and the Python of that stage."""

    step: Instruction
    below: FinalStage
    folder: str
    version: PythonVersion


def check_environments(image: ImageStart, findings: StartupFindings) -> None:
    """Report each COPY of an environment from a stage whose Python has another minor version than the image's."""
    final = _final(image)
    version = image_reference.promised_version(final.image) if final is not None else None
    # what the image installs itself is there, and what its base image brings
    if final is None or version is None or not image.tree.model.knows_base or _INSTALLER.search(image.tree.run_text):
        return
    copies = [copy for copy in _copied_environments(final, image.stages) if copy.version.minor != version.minor]
    # another Python beside the image's own may be the one that runs
    if not copies or _has_other_python(final.chain, [copy.step for copy in copies]):
        return
    for step, below, folder, built in copies:
        findings.add(
            Code.BG401,
            FindingPlace(image.dockerfile, step.line),
            f"copies {folder} with packages for Python {built.minor_text} (line {below.line}) into an image of Python"
            f" {version.minor_text} (line {final.line}), which does not look for them there",
            f"use the same Python in both stages: FROM {final.image}",
        )


def _copied_environments(final: FinalStage, stages: Sequence[DockerfileStage]) -> Iterator[_EnvironmentCopy]:
    """Each COPY of an environment from a stage of a known Python, unless to where the image looks."""
    version = image_reference.promised_version(final.image)
    for copy in _copies(final, stages):
        below = copy.below
        built = image_reference.promised_version(below.image) if below is not None else None
        if below is None or built is None or version is None or _has_other_python(below.chain):
            continue
        environments = [*_environments(below.chain)]
        folder = next((name for name in copy.sources if _holds_packages(name, environments, built.minor)), "")
        # packages without compiled code work in a folder of the image's own Python
        if folder and f"python{version.minor_text}" not in copy.target:
            yield _EnvironmentCopy(copy.step, below, folder, built)


def unreached_environment(image: ImageStart, folders: Iterable[str]) -> str:
    """The environment that is all that an image of Python's own gets from elsewhere, where none of some folders is in one; else empty."""
    final = _final(image)
    if final is None or image.tree.run_text or image.tree.model.unknown:
        return ""
    if image_reference.parse(final.image).last != "python":
        return ""
    places: list[str] = []
    for copy in _copies(final, image.stages):
        environments = [*_environments(copy.below.chain)] if copy.below is not None else []
        for source in copy.sources:
            inside = [made for made in environments if is_below(made, source)]
            if not inside:
                return ""  # it may bring anything
            places += [
                posixpath.normpath(posixpath.join(copy.target, posixpath.relpath(made, source))) for made in inside
            ]
    searched = {*folders}
    return "" if any(f"{place}/bin" in searched for place in places) else next(iter(places), "")


def _final(image: ImageStart) -> FinalStage | None:
    service = image.service
    return dockerfile.resolve_final_stage(image.recipe.dockerfile, dict(service.build_args), service.stage)


def _copies(final: FinalStage, stages: Sequence[DockerfileStage]) -> Iterator[_StageCopy]:
    """Each COPY from elsewhere."""
    for stage, step, text, folder in _steps(final.chain):
        origin = next((flag.removeprefix("--from=") for flag in step.flags if flag.startswith("--from=")), "")
        if step.name == "COPY" and origin:
            number = number_of(origin, stages)
            is_stage = number is not None and stages[number].line < stage.line
            below = follow(stages, number) if number is not None and is_stage else None
            words = dockerfile.source_words(text)
            # what is taken is named from the root of the other stage
            sources = tuple(posixpath.normpath(posixpath.join("/", word)) for word in words[:-1])
            yield _StageCopy(step, below, sources, posixpath.join(folder, words[-1] if words else ""))


def _steps(chain: Sequence[DockerfileStage]) -> Iterator[tuple[DockerfileStage, Instruction, str, str]]:
    """The instructions of a stage and of those below it in their order, each with its text, variables filled in, and the working folder."""
    folder, variables = "/", dict[str, str]()
    for stage in reversed(chain):
        for step in stage.instructions:
            text = dockerfile.expand_variables(step.text, variables)
            if step.name in {"ENV", "ARG"}:
                variables |= dockerfile.assignments(step.name, text, {})
            elif step.name == "WORKDIR":
                folder = posixpath.join(folder, text.strip())
            yield stage, step, text, folder


def _holds_packages(path: str, environments: Iterable[str], minor: int) -> bool:
    """Whether a folder of a stage is an environment of its Python, holds one, or has its packages."""
    match = _PACKAGES.search(path)
    if match is not None:
        return int(match["minor"]) == minor
    return any(is_below(made, path) for made in environments)


def _environments(chain: Sequence[DockerfileStage]) -> Iterator[str]:
    """The folders that a stage makes an environment in."""
    setting = ".venv"
    for _stage, step, text, folder in _steps(chain):
        if step.name == "ENV":
            setting = dockerfile.assignments(step.name, text, {}).get("UV_PROJECT_ENVIRONMENT", setting)
        elif step.name == "RUN":
            made = [match["folder"] or match["prefix"] for match in _MAKES.finditer(text)]
            made += [setting] if _IN_PLACE.search(text) else []
            made += [_HOME] if _OF_USER.search(text) else []
            yield from (posixpath.normpath(posixpath.join(folder, name)) for name in made)


def _has_other_python(chain: Sequence[DockerfileStage], copies: Sequence[Instruction] = ()) -> bool:
    """Whether instructions bring another Python than the base image's; some copies do not."""
    kept = (
        stage._replace(instructions=tuple(step for step in stage.instructions if step not in copies)) for stage in chain
    )
    return bool(dockerfile.installs_python(kept))
