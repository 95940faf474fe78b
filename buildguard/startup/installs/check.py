"""BG606 and BG409: what a Dockerfile installs exists for its Python, and the next build installs the same."""

from __future__ import annotations

import posixpath

from buildguard.definitions import NamedTuple
from buildguard.diagnostic import count
from buildguard.errors import GuardError
from buildguard.imports.lock import normalize
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe, list_recipes
from buildguard.stages.stage import Stage
from buildguard.startup.findings import FindingPlace, StartupFindings, StartupReport
from buildguard.startup.image_tree import context_path
from buildguard.startup.installs.commands import InstallCommand, Installer, install_commands
from buildguard.startup.installs.locked import LockedRelease, open_lock, releases
from buildguard.startup.installs.platform import WheelPlatform, build_stages
from buildguard.startup.installs.requirements import RequirementFile, RequirementLine, read_requirement_file
from buildguard.startup.project_files import BuildSender, ProjectFileTree
from buildguard.system import git

_SOURCES = (".tar.gz", ".zip", ".tar.bz2", ".tgz")
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

    def project_path(self, path: str) -> str:
        """The file of the project that a path of a command is; empty where none is known."""
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
    _check_lock(context, context.project_path("uv.lock"))


def _check_pylock(context: _InstallContext) -> None:
    for file in context.command.files:
        _check_lock(context, context.project_path(file))


def _check_lock(context: _InstallContext, file: str) -> None:
    """Each release of a lock has something to install from."""
    command, platform = context.command, context.platform
    data = context.files.read(file) if file else None
    lock = open_lock(file, data) if data is not None else None
    if lock is None:
        return
    why_open = _why_open(context)
    if platform is None or why_open:
        context.findings.leave_open(context.place, why_open or f"which wheels {command.stage.base} takes is unknown")
        return
    installed = releases(lock, platform, command.choice(_variables(command)))
    if installed is None:
        context.findings.leave_open(FindingPlace(file), "the lock could not be read")
        return
    for release in installed:
        _check_release(context, platform, file, release)


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
    """The variables of uv that the stage sets."""
    from buildguard.project import dockerfile

    steps = [step for stage in reversed(command.stage.chain) for step in stage.instructions if step.name == "ENV"]
    pairs = (pair for step in steps for pair in dockerfile.assignments("ENV", step.text, {}).items())
    return {name: value for name, value in pairs if name.startswith("UV_")}


def _check_release(context: _InstallContext, platform: WheelPlatform, file: str, release: LockedRelease) -> None:
    place = FindingPlace(file, release.line)
    shown = f"{release.name} {release.version}"
    if release.requires_python and not platform.admits(release.requires_python):
        message = f"{shown} requires Python {release.requires_python}, and {context.place.path}:{context.place.line} installs it for 3.{platform.minor}"
        context.findings.add("BG606", place, message, f"lock a release that supports Python 3.{platform.minor}")
    elif any(map(platform.takes, release.wheels)):
        return
    elif not release.has_source and release.wheels:
        message = f"{shown} has no wheel for {platform.words}, and no source distribution: {_list(release.wheels)}"
        hint = f"lock a release with wheels for Python 3.{platform.minor}, or change the base image"
        context.findings.add("BG606", place, message, hint)
    elif release.has_source and _is_compiled(release) and context.command.stage.has_compiler is False:
        message = f"{shown} has no wheel for {platform.words}, and {context.command.stage.base} has no compiler to build it with"
        hint = "install a compiler in that stage, or lock a release with a wheel"
        context.findings.add("BG606", place, message, hint, is_error=False)


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
    for name in command.files:
        file = context.project_path(name)
        listed = read_requirement_file(file, context.files.read) if file and context.files.is_file(file) else None
        if listed is None:
            continue
        if command.has("--no-index") and any(folders):
            _check_wheelhouse(context, listed, [folder for folder in folders if folder])
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
    context.findings.add("BG409", FindingPlace(first.file, first.line), message, hint, is_error=False)


def _check_wheelhouse(context: _InstallContext, listed: RequirementFile, folders: list[str]) -> None:
    """BG606 for a requirement that a local wheelhouse has nothing for."""
    platform = context.platform
    if platform is None or context.command.is_undecided:
        context.findings.leave_open(context.place, "which wheels are taken is unknown")
        return
    names = [posixpath.basename(path) for folder in folders for path in context.files.below(folder)]
    only_wheels = ":all:" in context.command.values("--only-binary")
    for line in listed.lines:
        needed = platform.marker(str(line.requirement.marker or "")) is True and not line.requirement.url
        if needed and not any(_satisfies(line, name, platform, only_wheels=only_wheels) for name in names):
            message = f"{', '.join(folders)} has no release of {line.requirement} that {platform.words} takes"
            context.findings.add(
                "BG606", FindingPlace(line.file, line.line), message, "add a wheel for that Python to the folder"
            )


def _satisfies(line: RequirementLine, name: str, platform: WheelPlatform, *, only_wheels: bool) -> bool:
    """Whether a file of a wheelhouse is what a requirement asks for, and can be installed."""
    from packaging.utils import InvalidSdistFilename, InvalidWheelFilename, parse_sdist_filename, parse_wheel_filename

    try:
        if name.endswith(".whl"):
            project, version, _build, _tags = parse_wheel_filename(name)
            fits = platform.takes(name)
        elif name.endswith(_SOURCES) and not only_wheels:
            project, version = parse_sdist_filename(name)
            fits = True
        else:
            return False
    except (InvalidWheelFilename, InvalidSdistFilename):
        return False
    wanted = line.requirement
    return fits and normalize(wanted.name) == project and wanted.specifier.contains(version, prereleases=True)


_CHECKS = {
    Installer.UV_LOCK: _check_uv,
    Installer.PYLOCK: _check_pylock,
    Installer.REQUIREMENTS: _check_requirements,
}
