"""What `check` returns: records that the reports render and tests compare."""

from __future__ import annotations

from collections.abc import Mapping

from buildguard.codes import RULE_ERRORS, Code
from buildguard.definitions import TYPE_CHECKING, NamedTuple
from buildguard.diagnostic import Diagnostic, DisplayPath, Severity, Unproven
from buildguard.imports.records import UndecidedImport
from buildguard.project.target import ContextBasis

if TYPE_CHECKING:
    from buildguard.check.rehearsal import Rehearsal
    from buildguard.compare.chain import Chain
    from buildguard.project.snippets.unchecked import UncheckedPython


class TargetRow(NamedTuple):
    """One target as one engine judged it; `proof` is "none" where no engine answered.

    `context` is its build context, and `basis` how that is known, None where the target is of no image.
    """

    python: str
    found_in: str
    engine: str | None
    proof: str
    interpreter: str | None
    image: str | None
    image_id: str | None
    files: int
    cached: int
    service: str | None = None
    image_digest: str | None = None
    context: str | None = None
    basis: ContextBasis | None = None


class Dependencies(NamedTuple):
    """What installers put into an image: how many files were compiled, which are refused, and which were not looked at."""

    files: int
    folders: tuple[str, ...]
    rejected: tuple[Diagnostic, ...]
    unproven: tuple[Unproven, ...]


class ImageReport(NamedTuple):
    """What `check image:REF` read: the image, the project's folders in it, and what is not the project's.

    `generated` has no twin in the project, `changed` has one with other bytes; both are paths of the report. `told_by`
    says how the roots are known. `digest` is empty where no registry knows the image. `compiled` counts the compiled
    modules that were met, and `misfits` names those that the image cannot load, each with the reason.
    """

    reference: str
    id: str
    digest: str
    platform: str
    roots: tuple[str, ...]
    told_by: str
    generated: tuple[str, ...]
    changed: tuple[str, ...]
    dependencies: Dependencies
    compiled: int = 0
    misfits: tuple[tuple[str, str], ...] = ()


class CheckReport(NamedTuple):
    """The whole result; `root` is relative to the folder where the command ran, `seconds` is wall time.

    `chain` is how the bytes came to where an engine compiled them, where stages were compared. `baseline` is the file
    that the configuration names. `startup_undecided` are the questions about the start that cannot be decided before a build,
    `undecided_imports` the imports of which nothing can be said. `snippets` counts the pieces of source in other files that were
    compiled, `unchecked` is the Python that was not looked at; `start` is what was observed when an image was started. `executed` are the files that do not compile,
    and that a start command surely executes. `hidden` counts the known findings that `--diff-base` or a baseline leaves out.
    """

    root: str
    targets: tuple[TargetRow, ...]
    diagnostics: tuple[Diagnostic, ...]
    unproven: tuple[Unproven, ...]
    notes: tuple[str, ...]
    files: int
    seconds: float
    strict: bool = False
    image: ImageReport | None = None
    chain: Chain | None = None
    baseline: str = ""
    startup_undecided: tuple[str, ...] = ()
    undecided_imports: tuple[UndecidedImport, ...] = ()
    rehearsal: Rehearsal | None = None
    snippets: int = 0
    unchecked: tuple[UncheckedPython, ...] = ()
    start: Mapping[str, object] | None = None
    executed: frozenset[str] = frozenset()
    hidden: int = 0

    @property
    def errors(self) -> int:
        """How many errors were found."""
        return sum(diagnostic.severity is Severity.ERROR for diagnostic in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many warnings were found."""
        return len(self.diagnostics) - self.errors

    @property
    def exit_code(self) -> int:
        """1 for findings, else 3 for anything unproven, else 0."""
        installed = self.image.dependencies if self.image is not None and self.strict else None
        if self.errors or (self.strict and self.warnings) or (installed is not None and installed.rejected):
            return 1
        return 3 if self.counted_unproven or (installed is not None and installed.unproven) else 0

    @property
    def reported(self) -> tuple[Diagnostic, ...]:
        """Every finding that counts: with `--strict`, those in an image's installed packages too."""
        installed = self.image.dependencies.rejected if self.image is not None and self.strict else ()
        return (*self.diagnostics, *installed)

    @property
    def counted_unproven(self) -> tuple[Unproven, ...]:
        """Everything unproven of the project: with `--strict`, what is undecided about its start, imports and snippets too."""
        if not self.strict:
            return self.unproven
        from buildguard.project.snippets.unchecked import UncheckedKind

        start = (Unproven(None, None, f"start undecided: {item}") for item in self.startup_undecided)
        imports = (
            Unproven(DisplayPath(item.path), None, f"import in line {item.line} undecided: {item.reason}")
            for item in self.undecided_imports
        )
        snippets = (
            Unproven(DisplayPath(item.path), None, f"line {item.line}: {item.reason}")
            for item in self.unchecked
            if item.kind is UncheckedKind.SNIPPET
        )
        return (*self.unproven, *start, *imports, *snippets)

    @property
    def reported_unproven(self) -> tuple[Unproven, ...]:
        """Everything unproven that counts, as above."""
        installed = self.image.dependencies.unproven if self.image is not None and self.strict else ()
        return (*self.counted_unproven, *installed)

    @property
    def rejected_files(self) -> list[str]:
        """The files that the target's compiler refuses, each once."""
        refused = {Code.BG101, Code.BG103, *RULE_ERRORS}
        return sorted(
            {diagnostic.path for diagnostic in self.diagnostics if diagnostic.code in refused and diagnostic.path}
        )
