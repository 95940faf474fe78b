"""Projects in folders without a Dockerfile: what buildpacks and App Engine deploy, and what declares a Python of its own."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterable, Iterator

from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.project.project_files import ProjectFiles, build_folders, from_base
from buildguard.project.target import Certainty, ContextBasis, ImageService, Rank, VersionDeclaration

if TYPE_CHECKING:
    from buildguard.project.buildpacks import BuildpackService
    from buildguard.project.cloudbuild.source_builds import SourceBuild

# Folders of test data, and of projects that were copied in.
_NOT_DEPLOYED = frozenset(
    {
        "test",
        "tests",
        "testing",
        "testdata",
        "fixtures",
        "node_modules",
        "vendor",
        "third_party",
        "site-packages",
        ".venv",
    }
)
_PROJECT_FILES = frozenset(
    {
        "requirements.txt",
        "pyproject.toml",
        "Pipfile",
        "setup.py",
        "main.py",
        "app.py",
        "manage.py",
        "Procfile",
        "app.yaml",
    }
)
_OTHER_PLATFORMS = frozenset({"runtime.txt", "app.yaml"})
_MOST = 200


class FolderProject(NamedTuple):
    """A folder that declares its own Python: the declaration that decides, and how it is known to be a project."""

    name: str
    folder: str
    declaration: VersionDeclaration
    basis: ContextBasis


def buildpack_services(files: ProjectFiles, images: Iterable[ImageService]) -> list[BuildpackService]:
    """The folders that buildpacks build: some file of the project deploys them from source, or they have a Procfile alone."""
    services: dict[tuple[str, str, str, tuple[tuple[str, str], ...]], BuildpackService] = {}
    for service in (*_from_build_files(files), *files.buildpacks, *_flexible(files)):
        key = (service.folder, service.builder, service.runtime, service.env)
        services.setdefault(key, service)
    taken = {service.folder for service in services.values()}
    every = (*services.values(), *_by_procfile(files, taken, [image.context for image in images]))
    if not every:
        return []
    from buildguard.project import buildpacks

    return [service for service in every if buildpacks.is_python(service, names_in(files, service.folder))]


def _by_procfile(files: ProjectFiles, taken: Collection[str], contexts: Collection[str]) -> Iterator[BuildpackService]:
    """The folders whose Procfile sets what starts, in no image's context: a source deploy has buildpacks build them.

    A `runtime.txt` is another platform's, and `app.yaml` App Engine's: they decide where they are.
    """
    for path in files.ending(b"Procfile"):
        if path.rpartition(b"/")[2] != b"Procfile":
            continue
        from buildguard.project.buildpacks import BuildpackService

        file = path.decode("utf-8", "surrogateescape")
        folder = posixpath.dirname(file)
        is_left_out = bool(_NOT_DEPLOYED & {*folder.split("/")}) or "{{" in folder
        if is_left_out or folder in taken or any(_lies_in(folder, context) for context in contexts):
            continue
        if not _OTHER_PLATFORMS & names_in(files, folder):
            basis = ContextBasis(Certainty.GUESSED, file)
            yield BuildpackService(posixpath.basename(folder) or "root", folder, basis, from_source=True)


def _flexible(files: ProjectFiles) -> Iterator[BuildpackService]:
    """App Engine's flexible services whose Python buildpacks choose."""
    for path, data in files.pins.items():
        if posixpath.basename(path) != "app.yaml" or b"operating_system" not in data:
            continue
        from buildguard.project import version_files, yaml
        from buildguard.project.buildpacks import BuildpackService
        from buildguard.project.yaml import InvalidYamlError

        try:
            root = yaml.read(data, path)
        except InvalidYamlError:
            continue
        system, runtime = version_files.flexible_stack(root), root.get("runtime")
        if system and runtime is not None and runtime.text() in {"python", "python3"}:
            folder = posixpath.dirname(path)
            basis = ContextBasis(Certainty.DECLARED, f"{path}:{runtime.line}")
            builder = f"gcr.io/buildpacks/builder:{system.replace('ubuntu', 'google-')}"
            yield BuildpackService(posixpath.basename(folder) or "root", folder, basis, (), builder, from_source=True)


def standard_services(files: ProjectFiles, images: Iterable[ImageService]) -> Iterator[BuildpackService]:
    """App Engine's services of the standard environment that no image is built of too; they declare their Python themselves."""
    contexts = [image.context for image in images]
    for path, data in files.pins.items():
        if posixpath.basename(path) != "app.yaml" or b"operating_system" in data:
            continue
        from buildguard.project import yaml
        from buildguard.project.buildpacks import BuildpackService
        from buildguard.project.yaml import InvalidYamlError

        try:
            root = yaml.read(data, path)
        except InvalidYamlError:
            continue
        runtime, command = root.get("runtime"), root.get("entrypoint")
        if runtime is not None and re.fullmatch(r"python3\d{1,2}", runtime.text()):
            folder = posixpath.dirname(path)
            has_source = _has_source(files, folder, command.text() if command is not None else "")
            if not has_source or any(_lies_in(folder, context) for context in contexts):
                continue  # static files, an app.yaml that is copied to where the sources are, or an image's own
            basis = ContextBasis(Certainty.DECLARED, f"{path}:{runtime.line}")
            name = posixpath.basename(folder) or "root"
            yield BuildpackService(name, folder, basis, runtime=runtime.text(), from_source=True)


def _has_source(files: ProjectFiles, folder: str, command: str) -> bool:
    """Whether a folder has a Python file, or its start command names a folder with some: `gunicorn shop.web:app`."""
    if any(name.endswith(".py") for name in names_in(files, folder)):
        return True
    starts = tuple(os.fsencode(posixpath.join(folder, word)) + b"/" for word in re.findall(r"\w+", command))
    return any(path.endswith(b".py") and path.startswith(starts) for path in files.paths)


def names_in(files: ProjectFiles, folder: str) -> set[str]:
    """The names of the files that are directly in a folder."""
    start = folder.encode("utf-8", "surrogateescape") + b"/" if folder else b""
    rests = (path[len(start) :] for path in files.paths if path.startswith(start))
    return {rest.decode("utf-8", "surrogateescape") for rest in rests if b"/" not in rest}


def _from_build_files(files: ProjectFiles) -> Iterator[BuildpackService]:
    for file, buildfile in files.buildfiles.items():
        for source in buildfile.sources:
            from buildguard.project.buildpacks import BuildpackService
            from buildguard.project.cloudbuild.source_builds import SourceTool

            folder = _folder_of(source, file, files)
            if folder is None or (
                source.tool is SourceTool.RUN and f"{folder}/Dockerfile".lstrip("/") in files.dockerfiles
            ):
                continue
            basis = ContextBasis(Certainty.DECLARED, f"{file}:{source.line}")
            env = _with_file(source, file, files)
            name, is_sent = posixpath.basename(folder) or "root", source.tool is not SourceTool.PACK
            yield BuildpackService(name, folder, basis, env, source.builder, source.runtime, is_sent)


def _folder_of(source: SourceBuild, file: str, files: ProjectFiles) -> str | None:
    """The folder that a build means: below its build file or below the root, whichever exists."""
    candidates = [from_base(base, source.folder) for base in build_folders(file)]
    existing = [folder for folder in candidates if names_in(files, folder)]
    is_project = (folder for folder in existing if _PROJECT_FILES & names_in(files, folder))
    return next(is_project, existing[-1] if existing else None)


def _with_file(source: SourceBuild, file: str, files: ProjectFiles) -> tuple[tuple[str, str], ...]:
    """The variables of a build with those of the file that it names, where that was read."""
    variables: dict[str, str] = {}
    for base in build_folders(file):
        data = files.variables.get(from_base(base, source.env_file)) if source.env_file else None
        if data is not None:
            variables |= _pairs_of(data, source.env_file)
    return tuple(sorted({**variables, **dict(source.env)}.items()))


def _pairs_of(data: bytes, file: str) -> dict[str, str]:
    from buildguard.project import yaml
    from buildguard.project.yaml import InvalidYamlError

    try:
        return {name: value.text() for name, value in yaml.read(data, file).pairs()}
    except InvalidYamlError:
        return {}


def folder_projects(
    files: ProjectFiles, declarations: Iterable[VersionDeclaration], covered: Collection[str]
) -> list[FolderProject]:
    """The folders below the root that declare a Python of their own, less those that images are built of.

    `covered` are the contexts of images. App Engine deploys the folder of an `app.yaml` whatever else is built of it.
    """
    by_folder: dict[str, list[VersionDeclaration]] = {}
    for declaration in declarations:
        if declaration.folder and declaration.decides and not _NOT_DEPLOYED & {*declaration.folder.split("/")}:
            by_folder.setdefault(declaration.folder, []).append(declaration)
    built = {posixpath.dirname(path) for path in files.dockerfiles}
    projects = []
    for folder, declared in sorted(by_folder.items()):
        first = min(declared, key=lambda declaration: declaration.rank)
        is_app_engine = first.rank is Rank.APP_ENGINE
        is_covered = not is_app_engine and any(_lies_in(folder, context) for context in covered)
        if is_covered or folder in built or not _PROJECT_FILES & names_in(files, folder):
            continue
        basis = ContextBasis(Certainty.DECLARED if is_app_engine else Certainty.GUESSED, first.place)
        projects.append(FolderProject(posixpath.basename(folder), folder, first, basis))
    return projects[:_MOST]


def _lies_in(folder: str, context: str) -> bool:
    return not context or folder == context or folder.startswith(f"{context}/")


def without_repeats(projects: Iterable[FolderProject], root: VersionDeclaration | None) -> list[FolderProject]:
    """Those whose Python is not the root's anyway: a workspace of packages with one range is one target."""
    return [
        project
        for project in projects
        if root is None or project.declaration.rank is Rank.APP_ENGINE or project.declaration.version != root.version
    ]
