"""The program and the packages of a built image, for the imports of the project in it: read as data, nothing is run."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Collection

from buildguard.docker.image_stage import ImageStage
from buildguard.docker.images import Image
from buildguard.imports.finder import FileTree
from buildguard.imports.program import StartedProgram, started_modules, working_folder
from buildguard.imports.records import ImportStatement, ModuleFacts
from buildguard.imports.resolver import SearchPath
from buildguard.imports.site_packages import InstalledSource
from buildguard.imports.third_party import PackageAnswer, PackagePresence
from buildguard.project.start_command import CommandPlace, CommandText, StartCommand, StartContext, processes
from buildguard.project.start_parser import parse_start


class ImageImportFiles:
    """The files of an image that were read, by their absolute path."""

    def __init__(self, stage: ImageStage, image: Image) -> None:
        self._stage = stage
        self._image = image
        own = {os.fsdecode(place): os.fsdecode(path) for path, place in stage.places.items() if path != place}
        self._tree = FileTree(own)
        self._all = FileTree(dict.fromkeys(map(os.fsdecode, stage.files.entries), ""))

    def read(self, path: str) -> bytes | None:
        """The content of a file of the image, where it was kept."""
        content = self._stage.files.content(os.fsencode(path))
        return content if isinstance(content, bytes) else None

    def packages(self, facts: Callable[[str], ModuleFacts | None]) -> InstalledSource:
        """What is installed in it."""
        return InstalledSource(self._image.reference, self._site_folders(), self._all.origins, self.read, facts)

    def programs(self, packages: InstalledSource) -> list[StartedProgram]:
        """What its command starts: one program for each process whose modules are known, or one without any start."""
        *before, main = (self._program(process, packages) for process in processes(self._command()))
        started = [program for program in before if program.starts]
        return [*started, main] if main.starts or not started else started

    def _program(self, command: StartCommand, packages: InstalledSource) -> StartedProgram:
        roots = tuple(dict.fromkeys([self._image.folder, *command.search_path]))
        starts = tuple(started_modules(command, self._tree))
        front = () if command.server or not command.is_main else command.search_path
        back = tuple(dict.fromkeys([*(command.search_path if starts else roots), *packages.folders]))
        open_path = command.undecided or packages.why_open
        path = SearchPath(front, back)
        return StartedProgram(
            *(self._tree, path, starts, roots, self._why_unknown, open_path),
            may_fail=command.may_fail,
            folder=working_folder(command),
        )

    def _command(self) -> StartCommand:
        env = {name: value for name, _, value in (assignment.partition("=") for assignment in self._image.env)}
        place = CommandPlace(self._image.reference, None)
        if not self._image.command:
            return StartCommand(place, undecided="the image has no command")
        return parse_start(CommandText(place, self._image.command), StartContext(self._image.folder, env, self.read))

    def _site_folders(self) -> list[str]:
        names = {posixpath.dirname(path) for path in self._all.origins}
        every = {folder for name in names for folder in _with_parents(name)}
        return sorted(folder for folder in every if folder.endswith(("/site-packages", "/dist-packages")))

    def _why_unknown(self, path: str) -> str:
        """A folder of which nothing was read may hold anything; a file that BG301 reports explains what imports it."""
        if path in self._stage.lacking:
            return f"{path} is missing from the image (BG301)"
        folder = posixpath.dirname(path.removesuffix("/__init__.py"))
        return "" if self._all.has_folder(folder) else f"{folder} was not read"


class ExplainedPackages:
    """The packages of an image; what they lack because a file of the project is missing (BG301) is no second finding."""

    predicted = False

    def __init__(self, packages: InstalledSource, lacking: Collection[str]) -> None:
        self.words = packages.words
        self._packages = packages
        self._lacking = lacking

    def ask(self, row: ImportStatement) -> PackageAnswer:
        """Whether an absolute import is satisfied."""
        answer = self._packages.ask(row)
        if answer.presence is not PackagePresence.MISSING:
            return answer
        module = row.module.replace(".", "/")
        ends = (f"/{module}.py", f"/{module}/__init__.py")
        lost = next((path for path in self._lacking if path.endswith(ends)), "")
        return (
            PackageAnswer(PackagePresence.UNKNOWN, detail=f"{lost} is missing from the image (BG301)")
            if lost
            else answer
        )


def _with_parents(folder: str) -> list[str]:
    parts = folder.split("/")
    return ["/".join(parts[:end]) for end in range(2, len(parts) + 1)]
