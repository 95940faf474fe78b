"""The programs that a project starts: the files of each image, its search path, and the modules of its start command."""

from __future__ import annotations

import functools
import os
import posixpath
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from buildguard.definitions import NamedTuple, lazy_pattern
from buildguard.errors import UnprovenError
from buildguard.imports.finder import FileTree, ModuleKind
from buildguard.imports.names import LoadedModule
from buildguard.imports.package_roots import package_roots
from buildguard.imports.program import StartedProgram, started_modules, working_folder
from buildguard.imports.records import ImportStatement
from buildguard.imports.resolver import SearchPath
from buildguard.project import dockerfile
from buildguard.project.discovery import ImageRecipe
from buildguard.project.ignore import docker
from buildguard.project.image_build import BuildInput, build_model, takes_context
from buildguard.project.image_match import list_installed
from buildguard.project.start_command import CommandText, StartCommand, StartContext, processes
from buildguard.project.start_declarations import (
    SERVED_BY,
    buildpack_default,
    read_app_yaml,
    read_dockerfile,
    read_processes,
    read_procfile,
    read_scripts,
)
from buildguard.project.target import PythonVersion
from buildguard.stages.stage import Entry, Listing

_WORKSPACE = "/workspace"
_RUNTIME = lazy_pattern(rb"(?m)^runtime:[ \t]*[\"']?python3(\d{1,2})\b")
_DJANGO = b"DJANGO_SETTINGS_MODULE"
_INSTALLS = lazy_pattern(
    r"\b(?:pip3?|uv)\b[^\n;&|]*\binstall\b[^\n;&|]*(?:\s-e\b|\s--editable\b|\s\.{1,2}(?=[/\[\s\"']|$)|\s/\w+[\w/]*(?=\s|$)|git\+)"
    r"|\buv sync\b|\buv pip sync\b|\bpoetry install\b|\bpdm (?:install|sync)\b|\bpipenv\b|\bsetup\.py\b|\bhatch\b|\.whl\b"
)


class ProjectSources(NamedTuple):
    """The files of a stage: its entries, and a reader of their content by path (None where they cannot be read)."""

    entries: Sequence[Entry]
    read: Callable[[str], bytes | None]

    @property
    def listing(self) -> Listing:
        """The entries, with what is asked of all of them."""
        return self.entries if isinstance(self.entries, Listing) else Listing(self.entries)

    @property
    def paths(self) -> list[str]:
        """Every path that is text."""
        return self.listing.texts


def read_programs(
    sources: ProjectSources,
    recipes: Iterable[ImageRecipe],
    entry: Sequence[str] = (),
    why_unknown: Callable[[ImageRecipe, str], str] = lambda _recipe, _path: "",
) -> list[StartedProgram]:
    """The programs of each image, or those of the project itself where it builds none: one for each process of a start.

    `entry` names start modules. `why_unknown` says why an image may hold a path that no COPY brings.
    """
    programs = [
        program._replace(why_unknown=functools.partial(why_unknown, recipe), image=recipe)
        for recipe in recipes
        for program in _of_image(sources, recipe, entry)
    ]
    return programs or [*_of_project(sources, "", entry)]


def project_program(sources: ProjectSources) -> StartedProgram:
    """The files of a whole project, of which no start is known."""
    return _of_project(sources, "", ())[-1]


def _of_image(sources: ProjectSources, recipe: ImageRecipe, entry: Sequence[str]) -> Sequence[StartedProgram]:
    service = recipe.service
    arguments = dict(service.build_args)
    final = dockerfile.resolve_final_stage(recipe.dockerfile, arguments, service.stage)
    declared = read_dockerfile(recipe.dockerfile, service.dockerfile, arguments, service.stage)
    if final is None or declared is None:
        return ()
    if not takes_context(recipe.dockerfile, arguments):
        return _of_project(sources, service.context, entry)
    sent = _sent_paths(sources, service.context, service.dockerfile)
    model = build_model(BuildInput(recipe.dockerfile, sent, service.context, arguments, service.stage))
    twins = model.twins
    for place in list_installed(twins):
        del twins[place]
    if not any(path.endswith(".py") for path in twins.values()):
        return _of_project(sources, service.context, entry)
    tree = _tree(sources, twins)
    runs = "\n".join(
        step.text
        for stage in dockerfile.stages(recipe.dockerfile, arguments)
        for step in stage.instructions
        if step.name == "RUN"
    )
    scripts = read_scripts(sources.read(posixpath.join(service.context, "pyproject.toml")) or b"", "pyproject.toml")
    command = None
    if declared.command is not None:
        env = _with_version(declared.env, final.image)
        context = StartContext(declared.folder, env, _reader(tree, sources), scripts, tree.is_unclear)
        command = _parsed(declared.command, context)
    layers = _ImageFolders(tree, sources, _INSTALLS.search(runs) is not None)
    return layers.programs(command, entry, (declared.folder, *_python_path(declared.env)), scripts)


class _LoadedByName(NamedTuple):
    """What a start loads by name: the modules, and the imports that texts of modules stand for."""

    modules: tuple[LoadedModule, ...]
    imports: tuple[tuple[LoadedModule, ImportStatement], ...]


class _ImageFolders:
    """The files of an image, and whether the project is installed in it as a package too."""

    def __init__(self, tree: FileTree, sources: ProjectSources, is_installed: bool) -> None:
        self._tree = tree
        self._sources = sources
        self._is_installed = is_installed

    def programs(
        self, command: StartCommand | None, entry: Sequence[str], folders: Sequence[str], scripts: Mapping[str, str]
    ) -> Sequence[StartedProgram]:
        """The programs of a start command, else that of the entries of the configuration, else of the project's scripts."""
        if command is not None and (started := list(self.processes(command, folders))):
            return started
        roots = self._all_roots(folders)
        starts = tuple(self._named(entry or tuple(scripts.values()), roots))
        return [
            StartedProgram(self._tree, SearchPath((), roots), starts, roots, open_path=self._why_open(command)),
        ]

    def processes(self, command: StartCommand, folders: Sequence[str]) -> Iterator[StartedProgram]:
        """One program for each process of a start command whose modules are known."""
        roots = self._all_roots(folders)
        *before, main = processes(command)
        for process in (*before, main):
            starts = tuple(started_modules(process, self._tree))
            if starts:
                yield self._process(process, starts, roots)._replace(is_main=process is main)

    def _process(
        self, command: StartCommand, starts: tuple[LoadedModule, ...], roots: tuple[str, ...]
    ) -> StartedProgram:
        path = self._path(command, roots)
        loaded = functools.cache(functools.partial(self._loaded, command, path.folders))
        return StartedProgram(
            *(self._tree, path, starts, roots),
            open_path=self._why_open(command),
            by_name=lambda: loaded().modules,
            listed=lambda: loaded().imports,
            may_fail=command.may_fail,
            folder=working_folder(command),
        )

    def _why_open(self, command: StartCommand | None) -> str:
        """Why other folders may be on the path."""
        if self._is_installed:
            return "the project is installed as a package"
        return "" if command is None else command.undecided

    def _loaded(self, command: StartCommand, folders: Sequence[str]) -> _LoadedByName:
        """What the frameworks of a start command load by name."""
        read = _reader(self._tree, self._sources)
        modules: tuple[LoadedModule, ...] = ()
        imports: tuple[tuple[LoadedModule, ImportStatement], ...] = ()
        finds_tasks = False
        if command.server == "celery":
            from buildguard.imports.celery_modules import CeleryReader  # it needs `ast`

            worker = CeleryReader(self._tree, folders, read, command)
            modules, imports = worker.modules(), worker.imports()
            command, finds_tasks = worker.application, worker.finds_all
        files = (module.location.file for module in started_modules(command, self._tree))
        if any(_DJANGO in (read(file) or b"") for file in files):
            from buildguard.imports.django_modules import DjangoReader  # a hook has no time for it in other projects

            django = DjangoReader(self._tree, folders, read, self._settings_of, finds_tasks=finds_tasks)
            modules, imports = (*django.modules(command), *modules), (*django.imports(command), *imports)
        return _LoadedByName(modules, imports)

    def _settings_of(self, command: StartCommand, default: str) -> str:
        from buildguard.project import django_settings

        setters = filter(django_settings.may_set, self._sources.paths)
        return django_settings.settings_module(setters, self._sources.read, command.env, default)

    def _path(self, command: StartCommand, roots: tuple[str, ...]) -> SearchPath:
        """A server has loaded most of the standard library before it looks into the project's folders."""
        installed = roots if self._is_installed else ()
        front = () if command.server or not command.is_main else command.search_path
        return SearchPath(front, tuple(dict.fromkeys([*command.search_path, *installed])))

    def _all_roots(self, folders: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(root for folder in folders for root in self._roots(folder)))

    def _roots(self, folder: str) -> tuple[str, ...]:
        file = self._tree.origins.get(posixpath.join(folder, "pyproject.toml"), "")
        return package_roots(folder, self._sources.read(file) if file else None, self._tree.has_sources)

    def _named(self, names: Iterable[str], roots: Sequence[str]) -> Iterator[LoadedModule]:
        for name in names:
            dotted = name.partition(":")[0].strip()
            lookup = self._tree.look_up(dotted, roots)
            parts = dotted.split(".")
            for number, location in enumerate(() if lookup.missing else lookup.modules):
                if location.kind in {ModuleKind.PACKAGE, ModuleKind.MODULE}:
                    yield LoadedModule(".".join(parts[: number + 1]), location)


def _of_project(sources: ProjectSources, context: str, entry: Sequence[str]) -> Sequence[StartedProgram]:
    """The programs of a folder that a buildpack would build, or that is built by what cannot be seen."""
    start = f"{context}/" if context else ""
    tree = _tree_of_project(sources, start)
    scripts = read_scripts(sources.read(f"{start}pyproject.toml") or b"", "pyproject.toml")
    declared = _buildpack_command(sources, start)
    surroundings = StartContext(_WORKSPACE, {}, _reader(tree, sources), scripts, tree.is_unclear)
    command = None if declared is None else _parsed(declared, surroundings)
    folders = _ImageFolders(tree, sources, is_installed=False)
    others = (_parsed(other, surroundings) for other in _other_processes(sources, start))
    beside = [program for other in others for program in folders.processes(other, (_WORKSPACE,))]
    return [
        *(program._replace(is_main=False) for program in beside),
        *folders.programs(command, entry, (_WORKSPACE,), scripts),
    ]


def _other_processes(sources: ProjectSources, start: str) -> Iterable[CommandText]:
    """What a Procfile starts beside the process that is reached from outside."""
    procfile = sources.read(f"{start}Procfile")
    return () if procfile is None else read_processes(procfile, f"{start}Procfile")


def _parsed(command: CommandText, context: StartContext) -> StartCommand:
    from buildguard.project.start_parser import parse_start  # with the tables of all servers

    return parse_start(command, context)


def _buildpack_command(sources: ProjectSources, start: str) -> CommandText | None:
    procfile = sources.read(f"{start}Procfile")
    if procfile is not None:
        return read_procfile(procfile, f"{start}Procfile")
    app_yaml = sources.read(f"{start}app.yaml")
    if app_yaml is None:
        return None
    return read_app_yaml(app_yaml, f"{start}app.yaml") or _app_engine_default(sources, start, app_yaml)


def _app_engine_default(sources: ProjectSources, start: str, app_yaml: bytes) -> CommandText | None:
    """What App Engine starts in a folder whose app.yaml names no entrypoint."""
    runtime = _RUNTIME.search(app_yaml)
    if runtime is None:
        return None
    names = [name for name in ("main.py", "app.py") if sources.read(start + name) is not None]
    required = (sources.read(f"{start}requirements.txt") or b"").decode("utf-8", "replace").lower()
    servers = [server for server in SERVED_BY if server in required]
    return buildpack_default(names, servers, PythonVersion(int(runtime[1])), start.rstrip("/"))


def _sent_paths(sources: ProjectSources, context: str, file: str) -> list[str]:
    """The paths of the project that no rule of `.dockerignore` drops."""
    try:
        rules = docker.DockerIgnoreRules(sources.read, context, file)
    except UnprovenError:
        return sources.paths
    return [path for path in sources.paths if rules.drops(path) is None] if rules.has_any else sources.paths


def _tree_of_project(sources: ProjectSources, start: str) -> FileTree:
    """The files whose path begins with `start`, below the folder of a buildpack."""
    listing, place = sources.listing, f"{_WORKSPACE}/"
    if listing.is_plain and start.isascii() and not listing.unclear:
        from buildguard.imports.placed_tree import PlacedFiles, PlacedTree

        raw = start.encode("ascii")
        first = bisect_left(listing.paths, raw)
        last = bisect_left(listing.paths, raw[:-1] + b"0", first) if raw else len(listing.paths)  # "0" comes after "/"
        return PlacedTree(PlacedFiles(listing.paths[first:last], start, place))
    paths = [path for path in sources.paths if path.startswith(start)]
    return _tree(sources, {f"{place}{path[len(start) :]}": path for path in paths})


def _tree(sources: ProjectSources, twins: Mapping[str, str]) -> FileTree:
    unclear = set(map(os.fsdecode, sources.listing.unclear))
    if not unclear:
        return FileTree(twins)
    files = {place: path for place, path in twins.items() if path not in unclear}
    return FileTree(files, (place for place, path in twins.items() if path in unclear))


def _reader(tree: FileTree, sources: ProjectSources) -> Callable[[str], bytes | None]:
    def read(path: str) -> bytes | None:
        origin = tree.origins.get(path)
        return None if origin is None else sources.read(origin)

    return read


def _with_version(env: Mapping[str, str], image: str) -> Mapping[str, str]:
    """The variables of an image with the version that one of Python's own has there, where it says what another one means."""
    from buildguard.project.image_reference import promised_version

    version = promised_version(image) if env.get("PYTHONSAFEPATH") else None
    return env if version is None else {"PYTHON_VERSION": f"3.{version.minor}", **env}


def _python_path(env: Mapping[str, str]) -> Collection[str]:
    return [entry for entry in env.get("PYTHONPATH", "").split(":") if entry.startswith("/") and "$" not in entry]
