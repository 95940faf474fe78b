"""`check image:REF --imports`: every module that the image's program reaches is imported there, and all failures are reported at once."""

from __future__ import annotations

import os
import posixpath
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing

from buildguard.check.image_imports import ImageImportFiles
from buildguard.check.result import CheckReport, ImageReport
from buildguard.codes import Code
from buildguard.compare.image_project import parse
from buildguard.definitions import NamedTuple
from buildguard.deploy.image_start import start_variables
from buildguard.deploy.start import STAND_IN
from buildguard.diagnostic import Diagnostic, DisplayPath, Range, Severity, Unproven, count
from buildguard.docker import client as daemons
from buildguard.docker import find_python, images
from buildguard.docker.image_stage import ImageFiles, ImageStage
from buildguard.docker.images import Image
from buildguard.docker.import_container import ImportOutcome, import_in_container
from buildguard.docker.sandbox import open_image_files
from buildguard.errors import UnprovenError
from buildguard.imports.finder import ModuleKind
from buildguard.imports.program import StartedProgram
from buildguard.load import Project
from buildguard.locate import WorkScope
from buildguard.startup.source_facts import SourceImport, read_facts

_MOST_MODULES = 1_000
_OUTSIDE = frozenset(
    {"gaierror", "ConnectionError", "ConnectionRefusedError", "TimeoutError", "timeout", "ReadOnlyError"}
)
_NO_WRITING = ("Read-only file system", "Network is unreachable", "Temporary failure in name resolution", "Errno 30")


class ModuleToImport(NamedTuple):
    """A module to import: its name, whether the start surely loads it, and the import of the project that names it."""

    name: str
    is_certain: bool
    path: str
    line: int | None = None


def import_all(report: CheckReport, project: Project, stage: str, tell: Callable[[str], None]) -> CheckReport:
    """A report with each import that fails in the image, which executes the project's code there."""
    if report.image is None:
        return report  # it could not be read
    try:
        with closing(daemons.connect()) as daemon:
            image = images.find(daemon, parse(stage)[0], project.config.platform, None)
            env = dict.fromkeys(start_variables(project, image.command), STAND_IN)
            with open_image_files(daemon, image) as cell:
                python = next(find_python.candidates(cell, image), "")
                files = ImageFiles(cell)
                try:
                    run = _ImportRun(project.place, report.image, image, files)
                finally:
                    files.close()
            tell(f"importing {count(len(run.modules), 'module')} of {image.reference}")
            outcomes = import_in_container(daemon, image, python, run.request, env)
    except UnprovenError as error:
        return report._replace(unproven=(*report.unproven, Unproven(None, None, error.words)))
    return run.add_to(report, outcomes)


class _ImportRun:
    """The modules of one image, and what their outcomes mean for the project."""

    def __init__(self, scope: WorkScope, image_report: ImageReport, image: Image, files: ImageFiles) -> None:
        for root in image_report.roots:
            files.read(root, is_named=True)
        self._twins = _twins(scope, image_report.roots, files)
        stage = ImageStage(f"image:{image.reference}", scope.root, files, _places(self._twins), image)
        read = ImageImportFiles(stage, image)
        packages = read.packages(lambda _file: None)
        self._program = read.programs(packages)[-1]  # the process that the container runs
        reached = list(reached_modules(self._program, read.read))
        self.modules = reached[:_MOST_MODULES]
        self._left_out = len(reached) - len(self.modules)
        self._by_name = {module.name: module for module in self.modules}
        folders = [*self._program.path.folders, *self._program.roots]
        self.request: Mapping[str, Sequence[str]] = {
            "path": list(dict.fromkeys(folder for folder in folders if not folder.endswith("-packages"))),
            "modules": [module.name for module in self.modules],
        }

    def add_to(self, report: CheckReport, outcomes: Sequence[ImportOutcome]) -> CheckReport:
        """The report with what failed, each failure once: at its innermost line of the project."""
        diagnostics: dict[tuple[object, ...], Diagnostic] = {}
        unproven: dict[Unproven, None] = {}
        for outcome in outcomes:
            if not outcome.kind or outcome.module not in self._by_name:
                continue
            diagnostic = self._diagnostic(outcome)
            if _is_outside(outcome):
                reason = f"{outcome.module} cannot be imported without a network and real values: {diagnostic.message}"
                unproven[Unproven(diagnostic.path, None, reason)] = None
                continue
            key = (diagnostic.code, diagnostic.path, diagnostic.range.line, outcome.kind, outcome.message)
            if key not in diagnostics or diagnostic.severity is Severity.ERROR:
                diagnostics[key] = diagnostic
        unproven |= dict.fromkeys(modules_without_result(self.modules, self._left_out, outcomes))
        note = f"imports: {count(len(outcomes), 'module')} tried in {report.image.reference if report.image else ''}"
        return report._replace(
            diagnostics=(*report.diagnostics, *diagnostics.values()),
            unproven=(*report.unproven, *unproven),
            notes=(*report.notes, note),
        )

    def _diagnostic(self, outcome: ImportOutcome) -> Diagnostic:
        module = self._by_name[outcome.module]
        frames = [(self._twins[file], line) for file, line in outcome.frames if file in self._twins]
        path, line = frames[-1] if frames else (module.path, module.line)
        code = self._code(outcome)
        severity = Severity.ERROR if module.is_certain and code is not Code.BG706 else Severity.WARNING
        message = f"importing {outcome.module} fails: {outcome.kind}: {outcome.message}"
        return Diagnostic(code, severity, DisplayPath(path), Range(line or None), message, "", None, "container")

    def _code(self, outcome: ImportOutcome) -> Code:
        if outcome.kind == "KeyError" and any(
            file.endswith(("/os.py", "<frozen os>")) for file, _line in outcome.frames
        ):
            return Code.BG706
        if outcome.kind in {"ImportError", "ModuleNotFoundError"}:
            top = outcome.name.partition(".")[0]
            is_own = self._program.tree.find(top, self._program.path.folders) is not None if top else False
            return Code.BG604 if is_own else Code.BG603
        return Code.BG502


def modules_without_result(
    modules: Sequence[ModuleToImport], left_out: int, outcomes: Sequence[ImportOutcome]
) -> Iterator[Unproven]:
    """What was not seen: modules that gave no result, no module at all, and those beyond the most that are imported."""
    missing = len(modules) - len({outcome.module for outcome in outcomes})
    if missing or not modules:
        yield Unproven(None, None, f"{count(missing, 'module')} of {len(modules)} gave no result")
    if left_out:
        reason = f"{count(left_out, 'module')} not imported: more than {_MOST_MODULES} are reached"
        yield Unproven(None, None, reason)


def _is_outside(outcome: ImportOutcome) -> bool:
    """Whether a missing network, a read-only disk or a stand-in may be why an import failed."""
    text = outcome.message
    return outcome.kind in _OUTSIDE or STAND_IN in text or any(words in text for words in _NO_WRITING)


def _twins(scope: WorkScope, roots: Sequence[str], files: ImageFiles) -> dict[str, str]:
    """The project's path of each source in the image; its path there where the project has none."""
    known = {os.fsdecode(entry.path) for entry in scope.stage.entries()}
    twins: dict[str, str] = {}
    for path in map(os.fsdecode, files.entries):
        if path.endswith(".py"):
            root = next((root for root in roots if path.startswith(f"{root.rstrip('/')}/")), "")
            inside = posixpath.relpath(path, root or "/")
            matches = [other for other in known if other == inside or other.endswith(f"/{inside}")]
            twins[path] = inside if inside in known else matches[0] if len(matches) == 1 else inside
    return twins


def _places(twins: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(origin): os.fsencode(path) for path, origin in twins.items()}


# ------------------------------------------------------------------------------------------ which modules


class _PendingModule(NamedTuple):
    name: str
    file: str
    is_certain: bool


def reached_modules(program: StartedProgram, read: Callable[[str], bytes | None]) -> Iterator[ModuleToImport]:
    """The modules that a program reaches: its own at any depth, and of others those that it surely imports."""
    tree = program.tree
    pending = [
        _PendingModule(_start_name(start.name, start.home, start.location.file), start.location.file, is_certain=True)
        for start in program.starts
        if start.location.file
    ]
    seen = {each.name for each in pending}
    for each in pending:
        yield ModuleToImport(each.name, each.is_certain, tree.origins.get(each.file, ""))
    while pending:
        current = pending.pop(0)
        facts = read_facts(read(current.file) or b"")
        for item, module in _imported(program, current, facts.imports if facts is not None else ()):
            if module.name not in seen:
                seen.add(module.name)
                yield ModuleToImport(module.name, module.is_certain, tree.origins.get(current.file, ""), item.line)
                pending += [module] if module.file else []


def _imported(
    program: StartedProgram, current: _PendingModule, imports: Iterable[SourceImport]
) -> Iterator[tuple[SourceImport, _PendingModule]]:
    """What a module's imports load, each with the import that does."""
    for item in imports:
        for name in _names(current, item):
            module = _module(program, current, item, name)
            if module is not None:
                yield item, module


def _start_name(name: str, home: str | None, file: str) -> str:
    if name != "__main__":
        return name
    stem = posixpath.basename(file).removesuffix(".py")
    return f"{home}.{stem}" if home else stem


def _names(current: _PendingModule, item: SourceImport) -> Iterator[str]:
    """The dotted names that an import may load: the module, and what is taken from it."""
    base = item.module
    if item.level:
        parts = current.name.split(".")
        keep = len(parts) - item.level + (1 if current.file.endswith("/__init__.py") else 0)
        if keep <= 0:
            return
        base = ".".join([*parts[:keep], *([item.module] if item.module else [])])
    if base:
        yield base
    yield from (f"{base}.{name}" for name in item.names if name != "*" and base)


def _module(program: StartedProgram, current: _PendingModule, item: SourceImport, name: str) -> _PendingModule | None:
    """A module by its name: the project's, or one of another package that is surely imported; None for anything else."""
    location = program.tree.look_up(name, program.path.folders).last
    is_certain = current.is_certain and item.is_certain
    if location is not None and location.kind is not ModuleKind.NAMESPACE:
        return _PendingModule(name, location.file if location.file.endswith(".py") else "", is_certain)
    top = name.partition(".")[0]
    is_foreign = program.tree.find(top, program.path.folders) is None and top not in sys.stdlib_module_names
    return _PendingModule(name, "", is_certain) if is_foreign and is_certain and name == item.module else None
