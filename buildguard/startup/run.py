"""Everything that is known before a build of whether its containers will start."""

from __future__ import annotations

from buildguard.codes import Code
from buildguard.errors import GuardError
from buildguard.project import dockerfile, image_reference
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe, list_recipes
from buildguard.project.start_command import StartCommand
from buildguard.project.target import Certainty
from buildguard.stages.stage import Stage
from buildguard.startup.applications import EntryFile, check_application
from buildguard.startup.buildpack_start import buildpack_starts
from buildguard.startup.closure import check_closure
from buildguard.startup.command_forms import check_form
from buildguard.startup.configurations import check_configs
from buildguard.startup.copied_environments import check_environments
from buildguard.startup.copied_stages import check_stages
from buildguard.startup.copies import check_copies, check_needs
from buildguard.startup.deployed_ports import DEFAULT_PORT, DeployedPort, find_port, only_builder, read_ports
from buildguard.startup.findings import FindingPlace, StartupFindings, StartupReport
from buildguard.startup.image_start import ImageStart, open_image
from buildguard.startup.placeholders import check_placeholders
from buildguard.startup.ports import check_port
from buildguard.startup.programs import check_programs, note_executed
from buildguard.startup.project_files import BuildSender, ProjectFileTree
from buildguard.startup.raw_words import check_raw_words
from buildguard.startup.secrets import check_secrets
from buildguard.startup.unreached import check_unseen
from buildguard.startup.user_homes import check_cache
from buildguard.startup.users import check_user
from buildguard.startup.variables.check import EnvironmentSources, check_variables
from buildguard.startup.variables.templates import read_templates
from buildguard.system import git


def check_startup(stage: Stage, repository: git.Repository | None, config: Config, service: str = "") -> StartupReport:
    """Check each Python image that a stage's files build; what cannot be decided is counted."""
    findings = StartupFindings()
    files = ProjectFileTree(stage, repository, _sender(config))
    recipes = [recipe for recipe in list_recipes(stage, config, service) if _is_python(recipe)]
    ports = list(dict.fromkeys(read_ports(files, config))) if recipes else []
    sources = _environment(files, config, is_only=len(recipes) == 1)
    for recipe in recipes:
        try:
            builder = only_builder(recipe, recipes)
            is_only = len(recipes) == 1
            deployed = find_port(ports, recipe.service.dockerfile, is_only=is_only, built_by=builder)
            image = open_image(recipe, files, deployed)
            if image is not None:
                _check_image(image, deployed, sources, findings)
        except GuardError as error:
            findings.leave_open(FindingPlace(recipe.service.dockerfile), error.words)
    if not service:
        _check_buildpacks(stage, config, files, findings)
    return findings.report()


def _check_buildpacks(stage: Stage, config: Config, files: ProjectFileTree, findings: StartupFindings) -> None:
    """The start of each folder that buildpacks build."""
    for started in buildpack_starts(stage, config, files):
        # a Procfile alone does not say that it is Cloud Run that sends the requests
        is_guess = started.recipe.service.basis.known is Certainty.GUESSED
        deployed = DeployedPort("" if is_guess else DEFAULT_PORT, started.by, started.start.command)
        if started.start.problem and not is_guess:
            hint = "echo 'web: gunicorn -b :$PORT main:app' > Procfile"
            place = FindingPlace(started.start.place.file, started.start.place.line)
            findings.add(Code.BG701, place, started.start.problem, hint)
        image = open_image(started.recipe, files, deployed)
        if image is None:
            continue
        check_secrets(image, findings)
        if image.start is not None:
            _check_start(image, image.start, deployed, _environment(files, config, is_only=False), findings)
        check_placeholders(image, findings)


def _environment(files: ProjectFileTree, config: Config, *, is_only: bool) -> EnvironmentSources:
    """What may set variables."""
    return EnvironmentSources(read_templates(files, config), frozenset(config.deploy.optional_env), is_only)


def _sender(config: Config) -> BuildSender:
    return BuildSender(config.cloud.builds) if config.cloud.builds else BuildSender.UNKNOWN


def _is_python(recipe: ImageRecipe) -> bool:
    """Whether an image has to do with Python at all."""
    final = dockerfile.resolve_final_stage(recipe.dockerfile, dict(recipe.service.build_args), recipe.service.stage)
    if final is None:
        return False
    return image_reference.is_python(final.image) or dockerfile.mentions_python(final.chain)


def _check_image(
    image: ImageStart, deployed: DeployedPort, sources: EnvironmentSources, findings: StartupFindings
) -> None:
    check_copies(image, findings)
    check_needs(image, findings)
    check_stages(image, findings)
    check_environments(image, findings)
    check_secrets(image, findings)
    check_user(image, findings)
    if image.start is not None and check_form(image, findings):
        _check_start(image, image.start, deployed, sources, findings)
    check_placeholders(image, findings)


def _check_start(
    image: ImageStart,
    start: StartCommand,
    deployed: DeployedPort,
    sources: EnvironmentSources,
    findings: StartupFindings,
) -> None:
    for command in (*start.before, start):
        findings.only_warns = command.may_fail
        entry = _check_command(image, command, findings)
        if entry is not None:
            check_variables(image, command, entry, sources, findings)
    check_port(image, start, deployed, findings)


def _check_command(image: ImageStart, command: StartCommand, findings: StartupFindings) -> EntryFile | None:
    """The first file that a command loads, where its program is there."""
    note_executed(image, command, findings)
    if not check_programs(image, command, findings) or not check_raw_words(image, command, findings):
        return None
    check_cache(image, command, findings)
    entry = check_application(image, command, findings)
    check_unseen(image, command, entry, findings)
    for loaded in command.loads:
        check_application(image, loaded, findings)
    if entry is not None:
        check_closure(image, command, [entry], findings)
    check_configs(image, command, findings)
    return entry
