"""`buildguard init --cloudbuild`: the step file, and the step that runs it before the first build, push, upload or deploy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from buildguard.check.build_files import build_files
from buildguard.check.context import image_of
from buildguard.check.project_imports import belongs
from buildguard.cli.render.formats import write
from buildguard.definitions import NamedTuple
from buildguard.diagnostic import display_path
from buildguard.errors import UsageError
from buildguard.imports.image_program import ProjectSources, read_programs
from buildguard.imports.program_words import program_words
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.project import image_reference
from buildguard.project.cloudbuild import edit
from buildguard.project.cloudbuild import guard_step as step
from buildguard.project.cloudbuild.edit import NewStep
from buildguard.project.config import Config
from buildguard.project.ignore import gcloud
from buildguard.project.request import CheckRequest
from buildguard.project.target import Target
from buildguard.stages.filesystem import read_file
from buildguard.startup.project_files import BuildSender, ProjectFileTree

_NAMES = ("cloudbuild.yaml", "cloudbuild.yml", "cloudbuild.json")
_MARK = ".buildguard/"
_NEW, _CHANGED, _UNCHANGED = "written", "changed: added the step, and nothing else", "unchanged"
_FLAGS = ("-I", "-S", "-B", "-c")


class _GuardPlan(NamedTuple):
    """The step file, the steps, and notes on how they were chosen."""

    data: bytes
    steps: tuple[NewStep, ...]
    notes: tuple[str, ...]


def guard_build(cwd: Path) -> list[str]:
    """Write the step file and put its step into the build file; returns a line for each file and note. Nothing is committed.

    Raises UsageError where the image that runs the code is unknown, or where the build file cannot take a step.
    """
    project = Project.load(cwd)
    place, config = project.place, project.config
    plan = _plan(project)
    name = _build_file(place, config)
    lines = []
    edited = None if name is None else _with_steps(place.root / name, plan)
    lines.append(_write_file(place.root / step.NAME, plan.data, place.root))
    if name is None or edited is None:
        lines += [
            "no cloudbuild.yaml found; paste this step above your first one:",
            *_paste_instructions(plan.steps),
        ]
    else:
        lines.append(_write_file(place.root / name, edited.data, place.root))
        lines += [_unguarded_note(name, number, given) for number, given in edited.unguarded]
    lines += [*plan.notes, *_note_dropped(place), *_note_other_builds(place, config, name)]
    if any(line.endswith((_NEW, _CHANGED)) for line in lines):
        lines.append("review and commit both files together: the step runs exactly this version of the file")
    return lines


def _plan(project: Project) -> _GuardPlan:
    config, targets = project.config, project.targets
    data = step.text(config.include, config.exclude)
    code, notes = step.loader(data), []
    steps: dict[tuple[str, tuple[str, ...]], NewStep] = {}
    for target in targets:
        image, note = _image(project.place, config, target)
        notes += [note] if note else []
        folders = (*_folders(target, targets), *_program_words(project, target))
        if image is None:
            new_step = NewStep("", target.image or "", "sh", ("-c",), step.WITHOUT_PYTHON)
        else:
            words = tuple(folder.replace("$", "$$") for folder in folders)  # Cloud Build reads $ as a substitution
            new_step = NewStep("", image, "python3", _FLAGS, code, words)
        steps.setdefault((new_step.image, folders), new_step)
    names = _names(list(steps.values()), targets)
    return _GuardPlan(
        data,
        tuple(new_step._replace(id=name) for new_step, name in zip(steps.values(), names, strict=True)),
        tuple(notes),
    )


def _names(steps: Sequence[NewStep], targets: Sequence[Target]) -> list[str]:
    """What steps are called: buildguard, or with the service behind it where there are several."""
    if len(steps) == 1:
        return ["buildguard"]
    services = [target.service or "rest" for target in targets]
    names = [f"buildguard-{name.replace('/', '-')}" for name in services[: len(steps)]]
    return names if len(set(names)) == len(steps) else [f"buildguard-{number}" for number in range(1, len(steps) + 1)]


def _image(place: WorkScope, config: Config, target: Target) -> tuple[str | None, str]:
    """The image whose Python a step uses, None for an image without Python; and a note on it."""
    image, _proof = image_of(CheckRequest(cwd=place.root), config, target)
    if not image:
        file, lines = config.how_to_set('image = "python:3.11-slim"')
        raise UsageError(
            f"the image that runs this code is unknown ({target.found_in})",
            hint=f"set {' '.join(lines.split())} in {file}",
        )
    if (
        image_reference.promised_version(image) is not None
        or image_reference.is_python(image)
        or not image_reference.is_bare(image)
    ):
        return image, ""
    if target.version is not None:
        chosen = f"python:{target.version}-slim"
        return chosen, f"{image} has no Python of its own, so the step runs in {chosen}"
    note = (
        f"{image} has no Python, so the step only compares bytes, and is unproven in a build without {step.VARIABLE};"
    )
    return None, f'{note} set [tool.buildguard] target = ["3.11"] to make it compile'


def _folders(target: Target, targets: Sequence[Target]) -> tuple[str, ...]:
    """What a target's step compiles: its context less what it leaves out, or what is in no context."""
    if target.context is None:
        return tuple(sorted({f"!{target.context}" for target in targets if target.context}))
    return (*([target.context] if target.context else []), *(f"!{folder}" for folder in target.without))


def _program_words(project: Project, target: Target) -> tuple[str, ...]:
    """What a target starts, for the imports that its step follows."""
    files = ProjectFileTree(project.stage, project.repository, BuildSender.UNKNOWN)
    recipes = [recipe for recipe in project.recipes if belongs(recipe, target)]
    sources = ProjectSources(project.stage.entries(), files.read)
    return program_words(read_programs(sources, recipes, project.config.entry))


def _build_file(place: WorkScope, config: Config) -> str | None:
    if config.build_file:
        if not (place.root / config.build_file).is_file():
            raise UsageError(f"{config.file}: {config.build_file} not found")
        return config.build_file
    return next((name for name in _NAMES if os.path.lexists(place.root / name)), None)


def _with_steps(file: Path, plan: _GuardPlan) -> edit.EditedBuildFile:
    if file.is_symlink():
        raise UsageError(f"{file.name} is a symbolic link, so it was not changed")
    data = read_file(os.fsencode(file))
    if not isinstance(data, bytes):
        raise UsageError(f"{file.name}: {data.reason}")
    return edit.with_steps(data, file.name, plan.steps, _MARK)


def _write_file(file: Path, data: bytes, root: Path) -> str:
    name = file.relative_to(root)
    before = read_file(os.fsencode(file)) if os.path.lexists(file) else None
    if before == data:
        return f"{name}: {_UNCHANGED}"
    if file.is_symlink() or file.parent.is_symlink():
        raise UsageError(f"{name} is a symbolic link, so it was not changed")
    file.parent.mkdir(exist_ok=True)
    write(data, file)
    return f"{name}: {_NEW if before is None else _CHANGED}"


def _paste_instructions(steps: Sequence[NewStep]) -> Iterator[str]:
    for new_step in steps:
        yield from (f"  {line}" for line in edit.as_block(new_step, ""))


def _unguarded_note(name: str, number: int, given: str) -> str:
    who = f"step #{number}{f' ({given})' if given else ''}"
    return f"{name}: {who} does not wait for the guard: add its id to waitFor"


def _note_dropped(place: WorkScope) -> Iterator[str]:
    """A note if gcloud would not send the step file."""

    def content(name: str) -> bytes | None:
        data = read_file(os.fsencode(place.root / name))
        return data if isinstance(data, bytes) else None

    rule = gcloud.GcloudIgnoreRules(content, has_git=place.repository is not None).drops(step.NAME)
    if rule is not None:
        yield f"{step.NAME}: gcloud does not send it ({rule}), so the step would fail: change that rule"


def _note_other_builds(place: WorkScope, config: Config, name: str | None) -> Iterator[str]:
    for path, _data in build_files(place.stage, config):
        if path != name:
            yield f'{path}: not changed; to guard it, set [tool.buildguard.cloud] config = "{display_path(os.fsencode(path))}"'
