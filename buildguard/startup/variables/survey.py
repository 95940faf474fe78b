"""The contract of a project with its environment: for each image, every variable that its code reads, and what sets it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from buildguard.definitions import NamedTuple, StrEnum
from buildguard.errors import GuardError, UnprovenError
from buildguard.project.config import Config
from buildguard.project.discovery import ImageRecipe, list_recipes
from buildguard.project.start_command import StartCommand
from buildguard.stages.stage import Stage
from buildguard.startup.applications import check_application
from buildguard.startup.buildpack_start import buildpack_starts
from buildguard.startup.deployed_ports import DEFAULT_PORT, DeployedPort, find_port, only_builder, read_ports
from buildguard.startup.findings import StartupFindings
from buildguard.startup.image_start import ImageStart, open_image
from buildguard.startup.project_files import BuildSender, ProjectFileTree
from buildguard.startup.variables.check import minor_of, provided_by
from buildguard.startup.variables.contract import NeededVariable, StartVariables, is_given, missing, read_start
from buildguard.startup.variables.templates import TemplateVariables, merge_templates, read_templates
from buildguard.system import git


class Need(StrEnum):
    """How much code needs a variable: the start fails without it, something else may, or nothing does."""

    START = "start"
    LATER = "later"
    OPTIONAL = "optional"


class ContractVariable(NamedTuple):
    """One variable: its names (any will do), how much it is needed, its default, what reads it where, and what sets it."""

    names: tuple[str, ...]
    need: Need
    default: str
    readers: tuple[str, ...]
    places: tuple[str, ...]
    set_by: str


class ImageContract(NamedTuple):
    """The variables of one image; `is_known` says that its template is known, `undecided` what could not be read."""

    name: str
    variables: tuple[ContractVariable, ...]
    is_known: bool
    undecided: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[ContractVariable, ...]:
        """What the start requires and nothing that is known sets."""
        return tuple(each for each in self.variables if each.need is Need.START and not each.set_by)


class StartedImage(NamedTuple):
    """One image with what its start reads and its templates set."""

    image: ImageStart
    start: StartCommand
    variables: StartVariables
    template: TemplateVariables


def read_contracts(
    stage: Stage, repository: git.Repository | None, config: Config, service: str = ""
) -> list[ImageContract]:
    """The contract of each image whose start command is known. Raises UnprovenError where none is."""
    contracts = [_contract(started) for started in started_images(stage, repository, config, service)]
    if not contracts:
        raise UnprovenError(
            "no start command is known, so which code runs is unknown",
            hint="buildguard reads CMD and ENTRYPOINT of a Dockerfile, Procfile and app.yaml",
        )
    return contracts


def started_images(
    stage: Stage,
    repository: git.Repository | None,
    config: Config,
    service: str = "",
    deployed: DeployedPort | None = None,
) -> Iterator[StartedImage]:
    """Each image of a project whose start command, and the file that it loads, are known; `deployed` is how the service starts it."""
    files = ProjectFileTree(stage, repository, BuildSender(config.cloud.builds or ""))
    recipes = list_recipes(stage, config, service)
    templates = read_templates(files, config)
    ports = list(dict.fromkeys(read_ports(files, config)))
    is_only = len(recipes) == 1
    starts = [
        (
            recipe,
            deployed
            or find_port(ports, recipe.service.dockerfile, is_only=is_only, built_by=only_builder(recipe, recipes)),
        )
        for recipe in recipes
    ]
    if not service:
        packs = buildpack_starts(stage, config, files)
        starts += [(pack.recipe, DeployedPort(DEFAULT_PORT, pack.by, pack.start.command)) for pack in packs]
    for recipe, port in starts:
        template = merge_templates(templates, recipe.service.dockerfile, is_only=len(starts) == 1)
        yield from _started(recipe, files, port, template)


def _started(
    recipe: ImageRecipe, files: ProjectFileTree, deployed: DeployedPort, template: TemplateVariables
) -> Iterator[StartedImage]:
    try:
        image = open_image(recipe, files, deployed)
    except GuardError:
        return
    if image is None or image.start is None:
        return
    for command in (*image.start.before, image.start):
        entry = check_application(image, command, StartupFindings())
        if entry is not None:
            yield StartedImage(image, command, read_start(image, command, entry, minor_of(image)), template)


def unset_variables(
    stage: Stage, config: Config, service: str, provided: Mapping[str, object], deployed: DeployedPort | None = None
) -> Iterator[NeededVariable]:
    """What the starts of a service surely fail without, where exactly `provided`, the Dockerfile and the platform set variables."""
    template = TemplateVariables(MappingProxyType(dict.fromkeys(provided, "")), is_known=True)
    picked = service if service in {recipe.service.name for recipe in list_recipes(stage, config)} else ""
    for started in started_images(stage, None, config, picked, deployed):
        every = provided_by(started.image, started.start, template)
        if not started.variables.unknown and started.image.tree.model.knows_base:
            yield from missing(started.variables, every)


def _contract(started: StartedImage) -> ImageContract:
    provided = provided_by(started.image, started.start, started.template)
    groups: dict[tuple[str, ...], list[NeededVariable]] = {}
    for needed in started.variables.needed:
        if needed.read.names:
            groups.setdefault(needed.read.names, []).append(needed)
    variables = (_variable(group, provided, started.variables) for group in groups.values())
    name = started.image.service.name or started.image.dockerfile or "."
    undecided = tuple(dict.fromkeys([*started.variables.unknown, *map(str, started.variables.unread)]))
    ordered = sorted(variables, key=lambda variable: (list(Need).index(variable.need), variable.names))
    return ImageContract(name, tuple(ordered), started.template.is_known, undecided)


def _variable(group: list[NeededVariable], provided: Mapping[str, str], variables: StartVariables) -> ContractVariable:
    read = group[0].read
    needs = {_need(needed) for needed in group}
    default = next((needed.read.default for needed in group if needed.read.default), "")
    by_code = "the code" if is_given(read, set(variables.sets)) else ""
    setter = next(
        (by for name, by in provided.items() if is_given(read, {name.upper() if read.any_case else name})), ""
    )
    return ContractVariable(
        read.names,
        next(need for need in Need if need in needs),
        default,
        tuple(dict.fromkeys(needed.read.reader for needed in group)),
        tuple(dict.fromkeys(f"{needed.path}:{needed.read.line}" for needed in group)),
        setter or by_code,
    )


def _need(needed: NeededVariable) -> Need:
    if not needed.read.is_required:
        return Need.OPTIONAL
    return Need.START if needed.at_start else Need.LATER
