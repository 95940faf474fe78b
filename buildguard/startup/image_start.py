"""One image under check: its Dockerfile, what is sent to build it, its files, and the command that it starts."""

from __future__ import annotations

import posixpath

from buildguard.definitions import NamedTuple
from buildguard.project import dockerfile
from buildguard.project.discovery import ImageRecipe
from buildguard.project.ignore.rules import parents
from buildguard.project.image_model import PlacedFile
from buildguard.project.start_command import CommandPlace, StartCommand, StartContext
from buildguard.project.start_declarations import declared_start, override, read_scripts
from buildguard.project.start_parser import parse_start
from buildguard.project.target import Certainty, ImageService
from buildguard.startup.deployed_ports import DeployedPort
from buildguard.startup.findings import FindingPlace
from buildguard.startup.image_tree import ImageTree, build_tree
from buildguard.startup.project_files import ProjectFileTree, SentFiles

_UNKNOWN_DEPLOY = DeployedPort()


class ImageStart(NamedTuple):
    """Everything that the checks of one image share; `start` is None where the base image decides what starts."""

    recipe: ImageRecipe
    sent: SentFiles
    stages: tuple[dockerfile.DockerfileStage, ...]
    tree: ImageTree
    start: StartCommand | None
    start_line: int | None

    @property
    def service(self) -> ImageService:
        """The service that it is the image of."""
        return self.recipe.service

    @property
    def files(self) -> ProjectFileTree:
        """The project's files."""
        return self.sent.files

    @property
    def dockerfile(self) -> str:
        """The path of the Dockerfile."""
        return self.service.dockerfile

    @property
    def placeholders(self) -> frozenset[str]:
        """The Git LFS pointers and the submodules without files that the context has."""
        start = f"{self.service.context}/" if self.service.context else ""
        return frozenset(path for path in self.files.placeholders if path.startswith(start))

    def copied_by(self, line: int | None) -> str:
        """That an instruction brings a file into the image; without a Dockerfile it is the buildpack."""
        who = f"line {line} of {self.dockerfile}" if self.dockerfile else "the buildpack"
        return f"{who} copies it into the image"

    def other_context(self, path: str) -> str:
        """The file that a path of the image would come from if the build context, a guess, were a folder above; or empty."""
        context = self.service.context
        if self.service.basis.known is not Certainty.GUESSED or not context:
            return ""
        inside = [source.removeprefix(f"{context}/") for source in self.tree.project_paths(path)]
        folders = ["", *parents(context)]
        candidates = (posixpath.join(folder, rest) for folder in folders for rest in inside)
        return next((candidate for candidate in candidates if self.files.has(candidate)), "")

    def place_of(self, place: CommandPlace) -> FindingPlace:
        """A place of a command as one of the project: a script of the image is the file that it was copied from."""
        if not place.in_image:
            return FindingPlace(place.file, place.line)
        image_file = self.tree.find(place.file)
        if image_file is None or not image_file.source:
            return FindingPlace(self.dockerfile, self.start_line)
        return FindingPlace(image_file.source, place.line)

    def read(self, path: str) -> bytes | None:
        """The content of a file of the image, where it is known for certain."""
        image_file = self.tree.find(path)
        return None if image_file is None else self.certain_content(image_file)

    def certain_content(self, placed: PlacedFile) -> bytes | None:
        """The bytes of a file as they are sent, where it is not in doubt which file it is."""
        return None if placed.doubt else self.content(placed)

    def content(self, placed: PlacedFile) -> bytes | None:
        """The bytes of a file of the image as they are sent."""
        return placed.content if placed.content is not None else self.files.sent_content(placed.source)


def open_image(
    recipe: ImageRecipe, files: ProjectFileTree, deployed: DeployedPort = _UNKNOWN_DEPLOY
) -> ImageStart | None:
    """The image of a recipe, with the command that its service sets; None for a Dockerfile without a stage."""
    service = recipe.service
    build_args = dict(service.build_args)
    stages = dockerfile.stages(recipe.dockerfile, build_args)
    final = dockerfile.resolve_final_stage(recipe.dockerfile, build_args, service.stage)
    if final is None and not recipe.by_buildpacks:
        return None
    sent = SentFiles(files, service)
    tree = build_tree(recipe, final.chain if final is not None else (), sent)
    image = ImageStart(recipe, sent, tuple(stages), tree, None, None)
    declared = declared_start(tree.model, service.dockerfile)
    command = override(declared.command, declared.entrypoint, deployed.command, deployed.arguments)
    if command is None or (deployed.command is None and declared.inherits_entrypoint and not tree.model.knows_base):
        return image
    scripts = read_scripts(files.read(_pyproject(files, service.context)) or b"", "pyproject.toml")
    context = StartContext(declared.folder, declared.env, image.read, scripts, lambda path: tree.find(path) is not None)
    return image._replace(start=parse_start(command, context), start_line=command.place.line)


def _pyproject(files: ProjectFileTree, context: str) -> str:
    inside = f"{context}/pyproject.toml" if context else "pyproject.toml"
    return inside if files.is_file(inside) else "pyproject.toml"
