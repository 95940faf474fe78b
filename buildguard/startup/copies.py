"""BG703: every source that a COPY or ADD names is sent to docker."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator

from buildguard.codes import Code
from buildguard.definitions import lazy_pattern
from buildguard.errors import UsageError
from buildguard.project import dockerfile
from buildguard.project.cloudbuild.roles import Role
from buildguard.project.ignore.rules import parents
from buildguard.project.image_model import UnmetNeed
from buildguard.project.project_files import is_build_file_name
from buildguard.project.target import Certainty
from buildguard.startup.build_scripts import build_scripts
from buildguard.startup.findings import FindingPlace, StartupFindings
from buildguard.startup.image_start import ImageStart
from buildguard.startup.image_tree import context_path
from buildguard.startup.losses import LostFile, report_lost
from buildguard.startup.project_files import BuildSender

_REMOTE = lazy_pattern(r"[\w+.-]+://|git@|<<")
_WILD = lazy_pattern(r"[*?\[]")
_READ = lazy_pattern(
    rb"[ \t](?:-r|--requirements?)[ \t=]{0,4}[\w./-]{1,200}"
)  # what pip installs from, it does not make
_READERS = {"pip": "installs", "poetry": "reads", "uv": "reads", "chmod": "changes"}
_BY_DOCKER = lazy_pattern(
    rb"\b(?:docker|podman|nerdctl)[ \t]+(?:buildx?|compose)\b|docker-compose\b|docker/build-push-action@"
)


def check_copies(image: ImageStart, findings: StartupFindings) -> None:
    """Report each source that is certainly missing; what an earlier step may create is undecided."""
    for step, source in named_sources(image):
        if not _is_sent(image, source):
            _report(image, findings, step, source)


def check_needs(image: ImageStart, findings: StartupFindings) -> None:
    """BG704 for a file that a RUN reads before any COPY brings it to where it looks, or that the project lacks."""
    for need in image.tree.model.unmet:
        sources = _sources_of(image, need)
        source = next(filter(image.files.is_file, sources), None)
        if source is not None:
            _report_late(image, findings, need, source)
        elif need.fails and need.path not in map(image.tree.model.absolute, image.tree.model.command):
            _report_missing(image, findings, need, sources)


def _sources_of(image: ImageStart, need: UnmetNeed) -> list[str]:
    """The paths of the project that a need may be met from, the likeliest first."""
    folder = posixpath.dirname(need.text)
    sources = [context_path(image.service.context, posixpath.join(folder, name)) for name in need.names]
    return [*image.tree.project_paths(need.path), *sources] if need.text.startswith("/") else sources


def _report_late(image: ImageStart, findings: StartupFindings, need: UnmetNeed, source: str) -> None:
    """A file of the project that no COPY brings in time."""
    text = posixpath.join(posixpath.dirname(need.text), posixpath.basename(source))
    reason = f"line {need.line} {_READERS[need.program]} {text}"
    if image.tree.holds(source) is None and image.sent.dropped_by(source) is not None:
        report_lost(image, findings, LostFile(source, reason), is_error=need.fails)
        return
    path = posixpath.join(posixpath.dirname(need.path), posixpath.basename(source))
    message = (
        f"{source} is needed, and no COPY before line {need.line} brings it to {path}, where {need.program} reads it"
    )
    hint = f"put it above: COPY {_shown(image, source)} {path}"
    findings.add(Code.BG704, FindingPlace(image.dockerfile, need.line, source), message, hint, is_error=need.fails)


def _report_missing(image: ImageStart, findings: StartupFindings, need: UnmetNeed, sources: list[str]) -> None:
    """A file that the project does not have either, as far as nothing may create it."""
    place, files = FindingPlace(image.dockerfile, need.line), image.files
    candidates = [*sources, *image.tree.project_paths(need.path)]
    is_guessed = image.service.basis.known is Certainty.GUESSED
    names = " or ".join(need.names)
    if doubt := _why_there(image, candidates):
        findings.leave_open(place, doubt)
    elif is_guessed and any(_is_elsewhere(image, _shown(image, source)) for source in sources):
        findings.leave_open(place, f"{names} is missing in the folder that is guessed to be the build context")
    else:
        rule = next(filter(None, map(files.git_ignore_rule, candidates)), None)
        why = f"git ignores it ({rule})" if rule else f"no COPY brings it to {need.path}"
        if need.others:
            why = f"no COPY brings one to {posixpath.dirname(need.path)}"
        message = f"{need.program} needs {names}, and {why}: the build ends there"
        hint = f"commit {sources[0]} and COPY it above line {need.line}, or take it out of the RUN"
        findings.add(Code.BG704, place, message, hint)


def _why_there(image: ImageStart, sources: list[str]) -> str:
    """Why one of some files may be in the image all the same; empty where nothing may bring it."""
    if image.sent.reason:
        return image.sent.reason
    for source in sources:
        if image.files.is_behind_link(source) or image.files.submodule_of(source):
            return f"{source} is behind a link, or in a submodule"
        if maker := _maker(image, source):
            return f"{maker} may create {_shown(image, source)}"
    return ""


def named_sources(image: ImageStart) -> Iterator[tuple[dockerfile.Instruction, str]]:
    """The sources that a build of the image's stage copies from its context, by their paths in the project."""
    build_args = dict(image.service.build_args)
    known: dict[str, dict[str, str]] = {}
    needed = dockerfile.needed_stages(image.stages, image.service.stage)
    for number, stage in enumerate(image.stages):
        values = dict(known.get(stage.base.lower(), {}))
        for step in stage.instructions:
            text = dockerfile.expand_variables(step.text, values)
            if step.name == "ENV" or (step.name == "ARG" and build_args):
                values |= dockerfile.assignments(step.name, text, build_args)
            elif step.name in {"COPY", "ADD"} and number in needed:
                yield from ((step, source) for source in _sources(image, step, text))
        if stage.alias:
            known[stage.alias] = values


def _sources(image: ImageStart, step: dockerfile.Instruction, text: str) -> Iterator[str]:
    if any(flag.startswith("--from=") for flag in step.flags):
        return
    for word in dockerfile.source_words(text)[:-1]:
        if not (_REMOTE.match(word) or _WILD.search(word) or "$" in word or "\\" in word):
            yield context_path(image.service.context, word)


def _is_sent(image: ImageStart, source: str) -> bool:
    if image.files.is_file(source):
        return image.sent.arrives(source)
    if source in image.files.submodules:
        return False
    return image.sent.folder_arrives(source) or image.files.is_behind_link(source)


def _report(image: ImageStart, findings: StartupFindings, step: dockerfile.Instruction, source: str) -> None:
    place = FindingPlace(image.dockerfile, step.line)
    shown = _shown(image, source)
    if image.sent.reason:
        findings.leave_open(place, image.sent.reason)
    elif image.files.has(source):
        rule = image.sent.dropped_by(source) or next(
            filter(None, map(image.sent.dropped_by, image.files.below(source))), None
        )
        message = f"{step.name} needs {shown}, and {rule} drops it"
        findings.add(Code.BG703, place, message, f"add a line `!{shown}` after that rule")
    elif submodule := image.files.submodule_of(source):
        if maker := step_maker(image):
            findings.leave_open(place, f"{maker} may create {shown}")
            return
        findings.explained_placeholders.add(submodule)
        message = f"{step.name} needs {shown}, and the submodule {submodule} is not checked out"
        findings.add(Code.BG703, place, message, "git submodule update --init, and in the build before docker too")
    else:
        _report_absent(image, findings, step, source)


def _shown(image: ImageStart, source: str) -> str:
    context = image.service.context
    return source.removeprefix(f"{context}/") if context and source != context else source


def _report_absent(image: ImageStart, findings: StartupFindings, step: dockerfile.Instruction, source: str) -> None:
    """A source that git does not have: ignored, created by the build, the history of git, or just not there."""
    place, shown, files = FindingPlace(image.dockerfile, step.line), _shown(image, source), image.files
    if posixpath.basename(source) == ".git" or "/.git/" in f"/{source}/":
        _report_history(image, findings, place, shown)
        return
    if image.service.basis.known is Certainty.GUESSED and _is_elsewhere(image, shown):
        findings.leave_open(place, f"{shown} is missing in the folder that is guessed to be the build context")
        return
    maker = _maker(image, source)
    if maker:
        findings.leave_open(place, f"{maker} may create {shown}")
        return
    other = files.other_case(source)
    if other:
        message = (
            f"{step.name} needs {shown}, and the project has {_shown(image, other)}: names differ in case on Linux"
        )
        findings.add(Code.BG703, place, message, f"write {_shown(image, other)}")
        return
    rule = files.git_ignore_rule(source)
    message = (
        f"{step.name} needs {shown}, and git ignores it ({rule})"
        if rule
        else f"{step.name} needs {shown}, and {_holder(image, shown)} has no such file"
    )
    hint = f"commit it (git add -f {source}), or create it in the Dockerfile or in a build step before docker"
    findings.add(Code.BG703, place, message, hint if rule else "correct the name, or commit the file")


def _holder(image: ImageStart, shown: str) -> str:
    """What lacks a source: the project, or a build context where another folder has it."""
    context, by = image.service.context, image.service.basis.by
    return f"the build context {context} ({by})" if context and image.files.has(shown) else "the project"


def _is_elsewhere(image: ImageStart, shown: str) -> bool:
    """Whether a source of a guessed context is in another folder that may be it: the Dockerfile's own, or one above."""
    own = posixpath.dirname(image.dockerfile)
    candidates = {"", *parents(f"{own}/Dockerfile")}
    return any(image.files.has(posixpath.join(folder, shown)) for folder in candidates)


def _report_history(image: ImageStart, findings: StartupFindings, place: FindingPlace, shown: str) -> None:
    rule = image.sent.dropped_by(".git")
    if rule is None and not _is_sent_by_gcloud(image):
        sender = "a trigger" if image.files.sender is BuildSender.TRIGGER else "what sends the context"
        findings.leave_open(place, f"whether {sender} has the history of git is not known")
        return
    if rule is None and image.files.sender is BuildSender.UNKNOWN and (builder := _docker_builder(image)):
        findings.leave_open(place, f"{builder} may build it with docker, which sends the history of git")
        return
    why = f"{rule} drops it" if rule else "gcloud does not send it"
    findings.add(Code.BG703, place, f"COPY needs {shown}, and {why}", "pass what you need of it with --build-arg")


def _is_sent_by_gcloud(image: ImageStart) -> bool:
    """Whether gcloud surely sends the context: the configuration or a build file says so, and no trigger builds it."""
    by = image.service.basis.by.rpartition(":")[0]
    is_declared = bool(by) and _is_build_file(by) and image.files.sender is BuildSender.UNKNOWN
    return is_declared or image.files.sender is BuildSender.SUBMIT


def _maker(image: ImageStart, source: str) -> str:
    """The script or build file that names a missing path, or its folder, and so may create it; empty where none does."""
    inside = _shown(image, source)
    step = step_maker(image)
    if step:
        return step
    own = {*image.service.context.split("/")}  # what names the folder of the context names nothing that it lacks
    names = {part for part in inside.split("/") if len(part) > 2 and part not in own}  # noqa: PLR2004  `.` names nothing
    if not names:
        return ""
    pattern = re.compile(rb"(?<![\w-])(?:%s)(?![\w-])" % b"|".join(re.escape(name.encode()) for name in sorted(names)))
    scripts = ((path, _READ.sub(b" ", content)) for path, content in build_scripts(image))
    return next((path for path, content in scripts if pattern.search(content)), "")


def _docker_builder(image: ImageStart) -> str:
    """A script or workflow that runs docker outside of Cloud Build; empty where none does."""
    others = (item for item in build_scripts(image) if not _is_build_file(item[0]))
    return next((path for path, content in others if _BY_DOCKER.search(content)), "")


def step_maker(image: ImageStart) -> str:
    """The build step before docker whose effect is not known, as `cloudbuild.yaml:3`; empty where none is."""
    from buildguard.project.cloudbuild import reader

    for path in image.files.named(_is_build_file):
        try:
            steps = reader.read(image.files.read(path) or b"", path, {}).steps
        except UsageError:
            continue
        for step in steps:
            if Role.BUILDS in step.roles:
                break
            if not step.roles or Role.FETCHES in step.roles:
                return f"the step in {path}:{step.line}"
    return ""


def _is_build_file(path: str) -> bool:
    return "cloudbuild" in path and is_build_file_name(os.fsencode(path))
