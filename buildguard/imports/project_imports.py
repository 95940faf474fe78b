"""BG603 and BG604 for the programs of a target: every import of the project, judged from what is started. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from buildguard.codes import Code
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.imports import standard_names
from buildguard.imports.execution import is_guarded
from buildguard.imports.finder import ModuleKind
from buildguard.imports.own_imports import OpenImport, OutsideImport, OwnImports, ProgramReader
from buildguard.imports.program import StartedProgram, folders_above, is_test, sources_of
from buildguard.imports.records import FileReach, Guard, ProjectImports, UndecidedImport
from buildguard.imports.third_party import PackagePresence
from buildguard.imports.unreached import LooseReader

if TYPE_CHECKING:
    from buildguard.imports.doubts import ProjectTexts
    from buildguard.imports.faults import ImportContext, ImportFault
    from buildguard.imports.names import LoadedModule
    from buildguard.imports.records import ImportStatement
    from buildguard.imports.third_party import PackageAnswer, PackageSource

_ABSENT = frozenset({PackagePresence.MISSING, PackagePresence.DEVELOPMENT})


class ProgramSubject(NamedTuple):
    """A program, what its imports are judged with, the texts that cast a doubt on what is found, and its packages."""

    program: StartedProgram
    context: ImportContext
    texts: ProjectTexts
    packages: PackageSource | None = None


def read_imports(
    subjects: Sequence[ProgramSubject],
    asked: Collection[str] | None = None,
    *,
    follows_starts: bool = True,
) -> ProjectImports:
    """Judge the imports of programs; one finding for each import.

    Of what no start reaches, only the files that are `asked` for are judged (None: all of them). Unless `follows_starts`,
    nothing is followed from a start, and nothing counts as executed.
    """
    judges = [_ProgramJudge(subject) for subject in subjects]
    reach: dict[str, FileReach] = {}
    for judge in judges if follows_starts else ():
        for path, how in judge.follow():
            known = reach.get(path)
            if known is None or (how.certain and not known.certain):
                reach[path] = how
    for judge in judges:
        for path, how in judge.read_rest(reach, asked, follows_starts=follows_starts):
            reach.setdefault(path, how)
    findings = _strongest(item for judge in judges for item in judge.findings)
    undecided = _surest(item for judge in judges for item in judge.undecided)
    return ProjectImports(findings, undecided, reach)


def _strongest(located: Iterable[tuple[str, Finding]]) -> dict[str, tuple[Finding, ...]]:
    """The findings of each file, one for each place and code: an error before a warning."""
    kept: dict[str, dict[tuple[str, Range], Finding]] = {}
    for path, finding in located:
        of_file = kept.setdefault(path, {})
        known = of_file.get((finding.code, finding.range))
        if known is None or (finding.severity is Severity.ERROR and known.severity is not Severity.ERROR):
            of_file[finding.code, finding.range] = finding
    return {path: tuple(of_file.values()) for path, of_file in kept.items()}


def _surest(items: Iterable[UndecidedImport]) -> tuple[UndecidedImport, ...]:
    """Each undecided import once: as one that a start surely executes, where one does."""
    kept: dict[tuple[str, int, str], UndecidedImport] = {}
    for item in items:
        key = item.path, item.line, item.reason
        if key not in kept or item.is_executed:
            kept[key] = item
    return tuple(kept.values())


class _ProgramJudge:
    """One program while it is judged."""

    def __init__(self, subject: ProgramSubject) -> None:
        from buildguard.imports.doubts import DoubtFinder

        program, context, texts, packages = subject
        self.findings: list[tuple[str, Finding]] = []
        self.undecided: list[UndecidedImport] = []
        self._program = program
        self._context = context
        self._doubts = DoubtFinder(program, texts)
        self._packages = packages
        self._unlisted: dict[str, PackageAnswer | None] = {}
        self._start_names = frozenset(start.name for start in program.starts)

    def follow(self) -> Iterator[tuple[str, FileReach]]:
        """Judge what the starts reach; each file of the project, and how it is reached."""
        result = ProgramReader(self._program, self._context).read()
        self._take(result)
        for item in result.reached.values():
            origin = self._origin(item.module.location.file)
            if origin:
                yield origin, FileReach(item.certain, self._shown(item.chain))

    def read_rest(
        self, reached: Mapping[str, FileReach], asked: Collection[str] | None, *, follows_starts: bool
    ) -> Iterator[tuple[str, FileReach]]:
        """Judge the files that no start reaches, tests aside; without a start all of them count as executed."""
        certain = not self._program.starts and follows_starts

        def is_left(path: str) -> bool:
            return path not in reached and not is_test(path)

        # what nothing executes says nothing of other files
        files = sources_of(self._program.tree, is_left, None if certain else asked)
        origins = {file: self._origin(file) for file in files}
        kept = {file: origin for file, origin in origins.items() if asked is None or origin in asked}
        reader = LooseReader(self._program.tree, self._program.roots, self._context)
        self._take(reader.read(files, kept.__contains__, certain=certain))
        how = FileReach(certain or not follows_starts)
        yield from ((origin, how) for origin in kept.values())

    def _origin(self, file: str) -> str:
        return self._program.tree.origins.get(file, "")

    def _take(self, result: OwnImports) -> None:
        def reached() -> set[str]:
            return {item.module.location.file for item in result.reached.values()}

        for fault, doubt in self._doubts.find(result.faults, reached):
            self._take_fault(fault, doubt)
        for item in result.outside:
            if self._packages is not None:
                self._take_outside(item, self._packages, knows_path=result.knows_path)
            else:
                self._take_unlisted(item)
        for left in result.undecided:
            self._leave_open(left, left.reason)

    def _leave_open(self, item: OpenImport, reason: str) -> None:
        self.undecided.append(UndecidedImport(self._origin(item.file), item.line, reason, item.certain))

    def _take_fault(self, fault: ImportFault, doubt: str) -> None:
        from buildguard.imports.faults import describe

        doubt = doubt or self._why_foreign(fault)
        if doubt:
            self._leave_open(_open_import(fault), doubt)
            return
        text = describe(fault, self._origin)
        self._add(Code.BG604, fault, text.message, text.hint, is_error=fault.certain)

    def _why_foreign(self, fault: ImportFault) -> str:
        """Why an import may mean an installed package: one comes before a folder that has no Python source; else empty."""
        source = fault.source
        if source is None or fault.row.level or source.location.kind is not ModuleKind.NAMESPACE:
            return ""
        top = source.name.partition(".")[0]
        if any(map(self._program.tree.has_sources, _top_folders(source))) or self._is_unbrought(fault.row, top):
            return ""
        return f"a package may bring {top}: the folder of that name has no Python source"

    def _is_unbrought(self, row: ImportStatement, top: str) -> bool:
        """Whether surely no installed package brings a module."""
        if self._packages is None:
            return self._context.ask_unlisted(top) is not None
        return self._packages.ask(row._replace(module=top, names=())).presence in _ABSENT

    def _take_outside(self, item: OutsideImport, packages: PackageSource, *, knows_path: bool) -> None:
        top = item.row.module.partition(".")[0]
        if standard_names.is_standard(top) or is_guarded(item.row):
            return
        answer = packages.ask(item.row)
        elsewhere = self._why_elsewhere(item, top, knows_path=knows_path) if answer.presence in _ABSENT else ""
        if elsewhere:
            self._leave_open(_open_import(item), elsewhere)
        elif answer.presence is PackagePresence.UNKNOWN:
            self._leave_open(_open_import(item), answer.detail or "its package is not known")
        elif answer.presence is not PackagePresence.PRESENT:
            if _is_caught(item, answer) or (packages.predicted and not self._is_reached(item)):
                return
            message, hint = _package_text(answer, packages)
            self._add(Code.BG603, item, message, hint, is_error=item.certain and not packages.predicted)

    def _why_elsewhere(self, item: OutsideImport, top: str, *, knows_path: bool) -> str:
        """What else may bring a module that no installed package does; empty where nothing may."""
        if item.module.location.file.endswith("/setup.py"):
            return "a build brings packages of its own"
        if not knows_path and self._program.tree.holders(top):
            return f"a folder of the project that has {top} may be on sys.path"
        return f"the project has a module {top} of its own" if self._is_beside(item, top) else ""

    def _take_unlisted(self, item: OutsideImport) -> None:
        """Without a list of what is installed: undecided is what a folder of the project lacks, and what no requirement explains."""
        dotted = item.row.module
        if is_guarded(item.row) or item.row.guard is Guard.MODULE_ONLY:
            return
        if dotted not in self._unlisted:  # many import the same
            self._unlisted[dotted] = self._ask_unlisted(dotted)
        answer = self._unlisted[dotted]
        if answer is not None:
            self._take_unlisted_answer(item, answer)

    def _ask_unlisted(self, dotted: str) -> PackageAnswer | None:
        from buildguard.imports.third_party import PackageAnswer

        top = dotted.partition(".")[0]
        if standard_names.is_standard(top):
            return None
        lookup = self._program.tree.look_up(dotted, self._program.path.folders)
        if lookup.modules and lookup.missing:
            reason = "a package may bring the rest of a folder without __init__.py"
        elif not self._context.may_be_foreign(top):
            reason = f"no file and no requirement of the project is known to bring {top}"
        else:
            return self._context.ask_unlisted(top)
        return PackageAnswer(PackagePresence.UNKNOWN, top, reason)

    def _take_unlisted_answer(self, item: OutsideImport, answer: PackageAnswer) -> None:
        """An image that installs nothing lacks what no folder of it holds."""
        if answer.presence is not PackagePresence.MISSING:
            self._leave_open(_open_import(item), answer.detail)
        elif self._program.tree.holders(answer.missing) or not self._is_reached(item):
            self._leave_open(_open_import(item), "the image installs no packages")
        else:
            message = f"no module named '{answer.missing}': the image installs no packages"
            hint = (
                f"add {answer.detail} to a requirements.txt, and RUN pip install -r requirements.txt in the Dockerfile"
            )
            self._add(Code.BG603, item, message, hint, is_error=False)

    def _is_beside(self, item: OutsideImport, top: str) -> bool:
        """Whether a file that no start reaches has a module of that name in a folder above: a script may start there."""
        folders = folders_above(posixpath.dirname(item.module.location.file), self._program.roots)
        return not self._program.starts and self._program.tree.find(top, folders) is not None

    def _is_reached(self, item: OutsideImport) -> bool:
        """Whether a start reaches an import; without any start all are."""
        return not self._program.starts or item.chain[0] in self._start_names

    def _add(self, code: Code, item: ImportFault | OutsideImport, message: str, hint: str, *, is_error: bool) -> None:
        chain = self._shown(item.chain)
        shown = f"{message} ({' → '.join(chain)})" if len(chain) > 1 else message
        severity = Severity.ERROR if is_error else Severity.WARNING
        path = self._origin(item.module.location.file)
        place = Range(item.row.line, item.row.column)
        self.findings.append((path, Finding(code, place, shown, hint, severity=severity)))

    def _shown(self, chain: tuple[str, ...]) -> tuple[str, ...]:
        """A chain with the file of the program in place of `__main__`."""
        main = next((start.location.file for start in self._program.starts if start.is_main), "")
        return tuple(main.rpartition("/")[2] if name == "__main__" else name for name in chain)


def _top_folders(package: LoadedModule) -> Iterator[str]:
    """The folders of the top-level package that a package is in."""
    ending = package.name.replace(".", "/")[len(package.name.partition(".")[0]) :]
    return (folder.removesuffix(ending) for folder in package.location.folders)


def _is_caught(item: OutsideImport, answer: PackageAnswer) -> bool:
    """Whether the source handles that a module is missing."""
    return answer.presence in _ABSENT and (item.handled or item.row.guard is Guard.MODULE_ONLY)


def _open_import(item: ImportFault | OutsideImport) -> OpenImport:
    return OpenImport(item.module.location.file, item.row.line, item.certain)


def _package_text(answer: PackageAnswer, packages: PackageSource) -> tuple[str, str]:
    if answer.presence is PackagePresence.NAME_MISSING:
        message = f"cannot import name '{answer.missing}' from '{answer.detail}' as it is installed in {packages.words}"
        return message, "install a version that has it, or correct the import"
    if answer.presence is PackagePresence.DEVELOPMENT:
        message = f"no module named '{answer.missing}': only a development group of {packages.words} brings it"
        return message, f"move {answer.detail} to the project's dependencies, and lock again"
    if packages.predicted:
        message = f"no module named '{answer.missing}': nothing in {packages.words} brings it"
        return message, f"add {answer.detail or 'its package'} to the project's dependencies, and lock again"
    message = f"no module named '{answer.missing}': no package in {packages.words} brings it"
    return message, "add its package to the project's dependencies, and install it"
