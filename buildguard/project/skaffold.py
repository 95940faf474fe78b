"""skaffold.yaml: the images that Skaffold builds, with Dockerfiles or with buildpacks. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.project.target import Certainty, ContextBasis
from buildguard.project.yaml import Node

if TYPE_CHECKING:
    from buildguard.project.buildpacks import BuildpackService
    from buildguard.project.declared_builds import DeclaredBuild
    from buildguard.project.yaml import Node

_LONGEST = 1 << 18
_MOST_DOCUMENTS = 50


class SkaffoldBuilds(NamedTuple):
    """What Skaffold files build, and notes on what could not be used."""

    images: tuple[DeclaredBuild, ...]
    buildpacks: tuple[BuildpackService, ...]
    notes: tuple[str, ...]


def builds(files: Mapping[str, bytes]) -> SkaffoldBuilds:
    """Every artifact of some Skaffold files, in their profiles too."""
    if not files:
        return SkaffoldBuilds((), (), ())
    from buildguard.project.buildpacks import BuildpackService
    from buildguard.project.declared_builds import DeclaredBuild, UnusableBuildError

    images: dict[DeclaredBuild, None] = {}
    packs: dict[BuildpackService, None] = {}
    notes: dict[str, None] = {}
    for file, data in sorted(files.items()):
        if len(data) > _LONGEST:
            notes[f"{file}: too large to read its build contexts from it"] = None
            continue
        for number, artifact in _artifacts(file, data, notes):
            try:
                build = _artifact(artifact, file, number)
            except UnusableBuildError as error:
                notes.update({str(error): None} if str(error) else {})
                continue
            images.update({build: None} if isinstance(build, DeclaredBuild) else {})
            packs.update({build: None} if isinstance(build, BuildpackService) else {})
    return SkaffoldBuilds(tuple(images), tuple(packs), tuple(notes))


def _artifacts(file: str, data: bytes, notes: dict[str, None]) -> Iterator[tuple[int, Node]]:
    """The artifacts of every document, with the number of lines before it."""
    from buildguard.project import yaml
    from buildguard.project.yaml import InvalidYamlError

    before = 0
    for document in re.split(rb"(?m)^---[ \t]*\r?$", data)[:_MOST_DOCUMENTS]:
        if b"artifacts" in document:
            try:
                root = yaml.read(document, file)
            except InvalidYamlError as error:
                notes[f"{error.what}; its build contexts are not known"] = None
            else:
                yield from ((before, artifact) for artifact in _listed(root))
        before += document.count(b"\n")


def _listed(root: Node) -> Iterator[Node]:
    profiles = root.get("profiles")
    for node in (root, *(profiles.items() if profiles is not None else ())):
        artifacts = node.get("build", "artifacts")
        yield from artifacts.items() if artifacts is not None else ()


def _artifact(artifact: Node, file: str, before: int) -> DeclaredBuild | BuildpackService | None:
    """What one artifact builds; None for a builder that is neither Docker nor a buildpack."""
    from buildguard.project.declared_builds import DeclaredBuild, path_inside

    place = f"{file}:{before + artifact.line}"
    context = artifact.get("context") or artifact.get("workspace")
    folder = path_inside(
        posixpath.dirname(file), context.text() if context is not None else "", f"{place}: the context"
    )
    pack = artifact.get("buildpacks") or artifact.get("buildpack")
    if pack is not None:
        return _buildpack(pack, folder, place)
    docker = artifact.get("docker") or artifact.get("kaniko")
    if docker is not None:
        return _image(docker, folder, place)
    if any(artifact.get(name) is not None for name in ("bazel", "jib", "ko", "custom")):
        return None
    return DeclaredBuild(path_inside(folder, "Dockerfile", f"{place}: the Dockerfile"), folder, (), place, "")


def _image(docker: Node, folder: str, place: str) -> DeclaredBuild:
    """The image that a `docker` or `kaniko` entry builds; build arguments with a template in them are unknown."""
    from buildguard.project.declared_builds import DeclaredBuild, path_inside

    name, stage, arguments = docker.get("dockerfile"), docker.get("target"), docker.get("buildArgs")
    path = path_inside(folder, name.text() if name is not None else "Dockerfile", f"{place}: the Dockerfile")
    pairs = arguments.pairs() if arguments is not None else ()
    known = ((key, value.text()) for key, value in pairs if "{{" not in value.text())
    return DeclaredBuild(path, folder, tuple(sorted(known)), place, stage.text() if stage is not None else "")


def _buildpack(pack: Node, folder: str, place: str) -> BuildpackService:
    from buildguard.project.buildpacks import BuildpackService

    builder, env = pack.get("builder"), pack.get("env")
    pairs = (item.text().partition("=") for item in (env.items() if env is not None else ()))
    variables = tuple(sorted((name, value) for name, equals, value in pairs if equals))
    basis = ContextBasis(Certainty.DECLARED, place)
    name = posixpath.basename(folder) or "root"
    return BuildpackService(name, folder, basis, variables, builder.text() if builder is not None else "")
