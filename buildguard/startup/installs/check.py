"""BG606 and BG409: what a Dockerfile installs exists for its Python, and the next build installs the same."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from collections.abc import Sequence

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.diagnostic import count
from buildguard.errors import GuardError
from buildguard.project import toml
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe, list_recipes
from buildguard.project.install_choice import InstallChoice
from buildguard.stages.stage import Stage
from buildguard.startup.findings import FindingPlace, StartupFindings, StartupReport
from buildguard.startup.image_tree import context_path
from buildguard.startup.installs.commands import InstallCommand, Installer, install_commands
from buildguard.startup.installs.locked import Lock, LockedRelease, is_pylock, open_lock, required_python
from buildguard.startup.installs.platform import WheelPlatform, build_stages, copied_sources
from buildguard.startup.installs.readers import releases
from buildguard.startup.installs.requirements import (
    RequirementFile,
    RequirementLine,
    read_requirement_file,
    requirement_lines,
)
from buildguard.startup.installs.wheelhouse import Wheelhouse
from buildguard.startup.project_files import BuildSender, ProjectFileTree
from buildguard.system import git

_INSTALLS = lazy_pattern(r"\b(?:pip3?|uv|poetry|conda)\b.*\b(?:install|sync|add)\b")
_MOST_SHOWN = 3  # wheels in a message


class _InstallContext(NamedTuple):
    """What the checks of one command share: the project's files, the image's context, and the variables that are set."""

    files: ProjectFileTree
    recipe: ImageRecipe
    command: InstallCommand
    platform: WheelPlatform | None
    findings: StartupFindings

    @property
    def place(self) -> FindingPlace:
        """The command in the Dockerfile."""
        return FindingPlace(self.recipe.service.dockerfile, self.command.line)

    def lock_path(self, name: str) -> str:
        """The lock that the stage copies or mounts; empty where none is known, or several are."""
        copied = self._copied(name)
        return next(iter(copied)) if len(copied) == 1 else ""

    def _copied(self, path: str) -> dict[str, None]:
        """The files of the project that the stage has under a relative path, by its COPY sources and mounts."""
        context, name = self.recipe.service.context, posixpath.basename(path)
        copied: dict[str, None] = {}
        for source in copied_sources(self.command.stage):
            folder, last = posixpath.split(source)
            is_match = last not in {"", ".", "*"} and fnmatch.fnmatchcase(name, last)
            candidates = [posixpath.join(folder, name)] if is_match else [posixpath.join(source, path)]
            found = (context_path(context, posixpath.normpath(candidate)) for candidate in candidates)
            copied |= dict.fromkeys(candidate for candidate in found if self.files.is_file(candidate))
        return copied

    def project_path(self, path: str) -> str:
        """The file of the project that a path of a command is; empty where none is known."""
        if "/" not in path.removeprefix("./"):
            copied = self._copied(path.removeprefix("./"))
            if len(copied) == 1:
                return next(iter(copied))
        parts = [part for part in path.split("/") if part not in {"", "."}]
        for start in range(len(parts) if path.startswith("/") else 1):
            candidate = context_path(self.recipe.service.context, "/".join(parts[start:]))
            if self.files.has(candidate):
                return candidate
        return ""


def check_installs(stage: Stage, repository: git.Repository | None, config: Config, service: str = "") -> StartupReport:
    """Check what each Dockerfile of a stage's files installs."""
    findings = StartupFindings()
    files = ProjectFileTree(stage, repository, BuildSender.UNKNOWN)
    for recipe in list_recipes(stage, config, service):
        stages = build_stages(recipe.dockerfile, dict(recipe.service.build_args))
        for command in install_commands(stages):
            platform = command.stage.platform(config.platform)
            context = _InstallContext(files, recipe, command, platform, findings)
            try:
                _CHECKS[command.kind](context)
            except GuardError as error:
                findings.leave_open(context.place, error.words)
    return findings.report()


# ------------------------------------------------------------------------------------------ locks


def _check_uv(context: _InstallContext) -> None:
    _check_lock(context, context.lock_path("uv.lock"))


def _check_poetry(context: _InstallContext) -> None:
    _check_lock(context, context.lock_path("poetry.lock"))


def _check_pylock(context: _InstallContext) -> None:
    for file in context.command.files:
        _check_lock(context, context.project_path(file))


def _check_lock(context: _InstallContext, file: str) -> None:
    """Each release of a lock has something to install from."""
    command, platform = context.command, context.platform
    data = context.files.read(file) if file else None
    beside = posixpath.join(posixpath.dirname(file), "pyproject.toml")
    lock = open_lock(file, data, context.files.read(beside)) if data is not None else None
    if lock is None:
        return
    choice = command.choice(_variables(command))
    why_open = _why_open(context) or _why_moved(context, lock, choice)
    if platform is None or why_open:
        context.findings.leave_open(context.place, why_open or f"which wheels {command.stage.base} takes is unknown")
        return
    needed = required_python(lock)
    if is_pylock(file) and not platform.admits(needed):  # uv would take another Python for its own lock
        message = f"{file} requires Python {needed}, and {context.place.path}:{context.place.line} installs it for 3.{platform.minor}"
        context.findings.add(
            Code.BG606, FindingPlace(file), message, f"lock for Python 3.{platform.minor} too, or change the base image"
        )
        return
    installed = releases(lock, platform, choice)
    if installed is None:
        context.findings.leave_open(FindingPlace(file), "the lock could not be read")
        return
    for release in installed:
        _check_release(context, platform, file, release)


def _why_moved(context: _InstallContext, lock: Lock, choice: InstallChoice) -> str:
    """Why another project's dependencies may be installed: those of a member of the workspace, or of another folder."""
    if context.command.is_moved:
        return "it is run in another folder"
    if choice.members or choice.every_member or "manifest" not in lock.content:
        return ""
    folder = posixpath.basename(context.command.stage.folder.rstrip("/"))
    packages = lock.content.get("package")
    sources = [toml.table(package, "source") for package in packages] if isinstance(packages, list) else []
    members = {posixpath.basename(str(path)) for source in sources for path in source.values()}
    return f"it may install the member in {folder} alone" if folder and folder in members else ""


def _why_open(context: _InstallContext) -> str:
    """Why another Python, or something else, may be installed for; empty where that is certain."""
    if context.command.is_undecided:
        return "an option decides what is installed, or for which Python"
    pinned = context.files.read(context.project_path(".python-version") or ".python-version")
    minor = context.platform.minor if context.platform is not None else 0
    if context.command.kind is Installer.UV_LOCK and pinned and f"3.{minor}" not in pinned.decode("utf-8", "replace"):
        return ".python-version names another Python, and uv may install it"
    if any(
        name.startswith(("UV_PYTHON", "UV_PROJECT")) and name != "UV_PROJECT_ENVIRONMENT" and "DOWNLOADS" not in name
        for name in _variables(context.command)
    ):
        return "a variable decides which Python uv takes"
    return ""


def _variables(command: InstallCommand) -> dict[str, str]:
    """The variables of uv that the stage sets before the command."""
    from buildguard.project import dockerfile

    steps = [step for stage in reversed(command.stage.chain) for step in stage.instructions if step.name == "ENV"]
    steps = [step for step in steps if step.line < command.line]
    pairs = (pair for step in steps for pair in dockerfile.assignments("ENV", step.text, {}).items())
    return {name: value for name, value in pairs if name.startswith("UV_")}


def _check_release(context: _InstallContext, platform: WheelPlatform, file: str, release: LockedRelease) -> None:
    place = FindingPlace(file, release.line)
    shown = f"{release.name} {release.version}"
    if release.requires_python and not platform.admits(release.requires_python):
        message = f"{shown} requires Python {release.requires_python}, and {context.place.path}:{context.place.line} installs it for 3.{platform.minor}"
        context.findings.add(Code.BG606, place, message, f"lock a release that supports Python 3.{platform.minor}")
    elif any(map(platform.takes, release.wheels)):
        return
    elif not release.has_source and release.wheels:
        message = f"{shown} has no wheel for {platform.words}, and no source distribution: {_list(release.wheels)}"
        hint = f"lock a release with wheels for Python 3.{platform.minor}, or change the base image"
        context.findings.add(Code.BG606, place, message, hint)
    elif release.has_source and _takes_wheels_only(context.command):
        message = f"{shown} has no wheel for {platform.words}, and {context.place.path}:{context.place.line} builds nothing from source"
        hint = f"lock a release with wheels for Python 3.{platform.minor}, or change the base image"
        context.findings.add(Code.BG606, place, message, hint)
    elif release.has_source and _is_compiled(release) and context.command.stage.has_compiler is False:
        message = f"{shown} has no wheel for {platform.words}, and {context.command.stage.base} has no compiler to build it with"
        hint = "install a compiler in that stage, or lock a release with a wheel"
        context.findings.add(Code.BG606, place, message, hint, is_error=False)


def _takes_wheels_only(command: InstallCommand) -> bool:
    """Whether an option or a variable forbids to build from source."""
    by_variable = _variables(command).get("UV_NO_BUILD", "").strip("\"'").lower() in {"1", "true", "yes", "on"}
    is_uv = command.kind is Installer.UV_LOCK
    return (is_uv and (by_variable or command.has("--no-build"))) or ":all:" in command.values("--only-binary")


def _is_compiled(release: LockedRelease) -> bool:
    """Whether a release has compiled parts, as its wheels show: each is for one platform."""
    return bool(release.wheels) and not any(name.endswith("-none-any.whl") for name in release.wheels)


def _list(wheels: tuple[str, ...]) -> str:
    more = f" and {len(wheels) - _MOST_SHOWN} more" if len(wheels) > _MOST_SHOWN else ""
    return f"{', '.join(wheels[:_MOST_SHOWN])}{more}"


# ------------------------------------------------------------------------------------------ requirements


def _check_requirements(context: _InstallContext) -> None:
    command = context.command
    folders = [context.project_path(value) for value in command.values("-f", "--find-links")]
    is_house = command.has("--no-index") and any(folders)
    if is_house:
        named = requirement_lines(context.recipe.service.dockerfile, command.line, command.named)
        _check_wheelhouse(context, named, [folder for folder in folders if folder])
    for name in command.files:
        file = context.project_path(name)
        listed = read_requirement_file(file, context.files.read) if file and context.files.is_file(file) else None
        if listed is None:
            continue
        if is_house:
            _check_wheelhouse(context, listed.lines, [folder for folder in folders if folder])
        elif not command.has("-c", "--constraint", "--constraints", "--require-hashes"):
            _check_locked(context, listed)


def _check_locked(context: _InstallContext, listed: RequirementFile) -> None:
    """BG409, once for each file."""
    loose = [each for each in listed.lines if not each.is_pinned]
    if not loose or listed.is_constrained:
        return
    first = loose[0]
    message = f"{first.requirement.name} has no exact version here, so the next build may install another release"
    if len(loose) > 1:
        message += f"; the same holds for {count(len(loose) - 1, 'other requirement')} of this file"
    hint = f"pip-compile or uv pip compile writes every version; {context.place.path}:{context.place.line} installs this file"
    context.findings.add(Code.BG409, FindingPlace(first.file, first.line), message, hint, is_error=False)


def _check_wheelhouse(context: _InstallContext, lines: Sequence[RequirementLine], folders: list[str]) -> None:
    """BG606 for a requirement that a local wheelhouse has nothing for, or nothing for what it needs in turn."""
    platform, command = context.platform, context.command
    if platform is None or command.is_undecided or _fills(command):
        context.findings.leave_open(context.place, "which wheels are taken is unknown")
        return
    paths = [path for folder in folders for path in context.files.below(folder) if posixpath.dirname(path) == folder]
    only_wheels = ":all:" in command.values("--only-binary")
    house = Wheelhouse(paths, context.files.read, platform, only_wheels=only_wheels)
    for line in lines:
        unmet = house.unmet(line.requirement, with_needs=not command.has("--no-deps"))
        if unmet is not None:
            way = f", which {' and '.join(unmet.through[-1:])} needs" if unmet.through else ""
            message = f"{', '.join(folders)} has no release of {unmet.requirement} that {platform.words} takes{way}"
            hint = "add a wheel for that Python to the folder"
            context.findings.add(Code.BG606, FindingPlace(line.file, line.line), message, hint)


def _fills(command: InstallCommand) -> bool:
    """Whether the build may add wheels to a folder, or installs something before that counts as well."""
    steps = [step for stage in command.stage.chain for step in stage.instructions if step.name == "RUN"]
    return any(
        re.search(r"\b(?:wheel|download)\b", step.text) or (step.line < command.line and _INSTALLS.search(step.text))
        for step in steps
    )


_CHECKS = {
    Installer.UV_LOCK: _check_uv,
    Installer.POETRY: _check_poetry,
    Installer.PYLOCK: _check_pylock,
    Installer.REQUIREMENTS: _check_requirements,
}
