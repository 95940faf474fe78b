"""A project from texts, and what is said of its imports."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping

from buildguard.diagnostic import Finding
from buildguard.imports.distributions import ModuleIndex
from buildguard.imports.doubts import ProjectTexts
from buildguard.imports.faults import ImportContext
from buildguard.imports.finder import FileTree
from buildguard.imports.names import LoadedModule
from buildguard.imports.program import StartedProgram, started_modules
from buildguard.imports.project_imports import ProgramSubject, read_imports
from buildguard.imports.records import ModuleFacts, ProjectImports, extract
from buildguard.imports.requirements import Requirements
from buildguard.imports.resolver import SearchPath
from buildguard.imports.standard import LibraryModules
from buildguard.imports.third_party import PackageSource
from buildguard.project.start_command import CommandPlace, StartCommand


class TextProject:
    """Files in /srv, started by a script, a module, or nothing."""

    def __init__(self, files: Mapping[str, str], start: str = "main", requires: tuple[str, ...] = ()) -> None:
        self.files = files
        self.tree = FileTree({f"/srv/{name}": name for name in files})
        self.read_together: list[list[str]] = []  # what was read as many files at once, each time
        self.requirements = Requirements(frozenset(requires))
        script = f"/srv/{start}" if start.endswith(".py") else ""
        path = (posixpath.dirname(script) or "/srv",)
        command = StartCommand(
            CommandPlace("Dockerfile", 1), script=script, module="" if script else start, search_path=path
        )
        starts: tuple[LoadedModule, ...] = tuple(started_modules(command, self.tree)) if start else ()
        front = path if script else ()
        self.program = StartedProgram(self.tree, SearchPath(front, path), starts, ("/srv",), folder="/srv")

    def read(self, file: str) -> bytes | None:
        """The content of a file of the tree."""
        text = self.files.get(self.tree.origins.get(file, ""))
        return None if text is None else text.encode()

    def read_each(self, files: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """The content of many files."""
        self.read_together.append(list(files))
        for file in self.read_together[-1]:
            yield file, self.files[self.tree.origins[file]].encode()

    def facts(self, file: str) -> ModuleFacts | None:
        """The facts of a file of the tree."""
        data = self.read(file)
        return None if data is None else extract(data, (3, 11))

    def may_be_foreign(self, name: str) -> bool:
        """Whether a package may bring a module."""
        return self.requirements.may_bring(name.partition(".")[0], ModuleIndex({}))

    def judge(
        self, packages: PackageSource | None = None, *, ignored: tuple[str, ...] = (), build: bytes = b""
    ) -> ProjectImports:
        """Everything that is said of its imports."""
        context = ImportContext(self.facts, self.read, LibraryModules(11), self.may_be_foreign)
        texts = ProjectTexts(self.read, ignored.__contains__, self.facts, lambda: build, self.read_each)
        return read_imports([ProgramSubject(self.program, context, texts, packages)])


def findings(files: Mapping[str, str], start: str = "main", requires: tuple[str, ...] = ()) -> list[str]:
    """The findings in a project, each as `severity file:line message`."""
    return lines_of(TextProject(files, start, requires).judge())


def lines_of(result: ProjectImports) -> list[str]:
    """Each finding on one line."""
    return [shown(path, finding) for path, of_file in result.findings.items() for finding in of_file]


def shown(path: str, finding: Finding) -> str:
    """A finding on one line."""
    return f"{finding.severity} {path}:{finding.range.line} {finding.message}"
