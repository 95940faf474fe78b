"""BG601 and BG602: imports that the target's standard library does not satisfy. Pure."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping

from buildguard.codes import Code
from buildguard.definitions import NamedTuple, words
from buildguard.diagnostic import Finding, Range, Severity
from buildguard.imports import standard_names
from buildguard.imports.library_answers import Availability, LibraryAnswer, Question
from buildguard.imports.records import FileReach, Guard, ImportForm, ImportStatement

_NEVER_FAILS = frozenset({Guard.FALSE, Guard.EXCEPT, Guard.TESTED, Guard.HANDLER})
_MAY_NOT_RUN = frozenset({Guard.CONDITIONAL, Guard.MAIN, Guard.IMPORTED})

# Where names are that a module lacks: the module, the one to take, and the names.
_MOVED = (
    (
        "typing",
        "typing_extensions",
        words(
            """
            Annotated Concatenate Final Literal LiteralString Never NotRequired ParamSpec Protocol ReadOnly Required Self
            TypeAlias TypeAliasType TypeGuard TypeIs TypedDict TypeVarTuple Unpack assert_never assert_type
            dataclass_transform get_type_hints is_typeddict override reveal_type runtime_checkable
            """
        ),
    ),
    (
        "collections",
        "collections.abc",
        words(
            """
            AsyncGenerator AsyncIterable AsyncIterator Awaitable ByteString Callable Collection Container Coroutine Generator
            Hashable ItemsView Iterable Iterator KeysView Mapping MappingView MutableMapping MutableSequence MutableSet
            Reversible Sequence Set Sized ValuesView
            """
        ),
    ),
)


class ImportVerdict(NamedTuple):
    """What is said of a module's imports: findings, and what could not be decided: line, reason, whether a start executes it."""

    findings: tuple[Finding, ...]
    undecided: tuple[tuple[int, str, bool], ...]


def questions_of(statements: Iterable[ImportStatement]) -> set[Question]:
    """What the target has to be asked about some imports, each module once."""
    names: dict[str, set[str]] = defaultdict(set)
    # many import the same
    wanted = {(row.module, row.names) for row in statements if not row.level and row.guard not in _NEVER_FAILS}
    for module, asked in wanted:
        if _is_in_library(module):
            names[module].update(() if asked == ("*",) else asked)
    return {(module, frozenset(asked)) for module, asked in names.items()}


def is_of_library(statement: ImportStatement) -> bool:
    """Whether an import can fail, and is about the standard library of some version of Python."""
    if statement.level or statement.guard in _NEVER_FAILS:
        return False
    return _is_in_library(statement.module)


@functools.lru_cache(10_000)  # every file asks for the same few
def _is_in_library(module: str) -> bool:
    return standard_names.is_standard(module.partition(".")[0])


class ImportJudge:
    """Judges the imports of modules by what the target answered.

    `version` is the target's, "3.12"; `brings` gives the reason why a module may come from elsewhere, empty where it cannot;
    `patched` are names that the project sets in modules of the library, such as "collections.Mapping".
    """

    def __init__(
        self,
        answers: Mapping[str, LibraryAnswer],
        version: str,
        brings: Callable[[str], str],
        patched: Iterable[str] = (),
    ) -> None:
        self._patched = frozenset(patched)
        self._answers = answers
        self._version = version
        self._brings = brings
        self._fine: set[tuple[str, tuple[str, ...]]] = set()  # modules with names that every import may take

    def judge(self, statements: Iterable[ImportStatement], reach: FileReach) -> ImportVerdict:
        """What is said of one module's imports."""
        findings: list[Finding] = []
        undecided: list[tuple[int, str, bool]] = []
        for statement in statements:
            what = (statement.module, statement.names)
            if what in self._fine or not is_of_library(statement):
                continue
            items = list(self._judge(statement, reach))
            if not items and statement.form is not ImportForm.ATTRIBUTE and statement.guard is Guard.NONE:
                self._fine.add(what)
            for item in items:
                if isinstance(item, Finding):
                    findings.append(item)
                else:
                    is_executed = severity_of(statement, reach) is Severity.ERROR
                    undecided.append((statement.line, item, is_executed))
        return ImportVerdict(tuple(findings), tuple(undecided))

    def _judge(self, statement: ImportStatement, reach: FileReach) -> Iterator[Finding | str]:
        """Findings in one import, or the reason why it cannot be decided."""
        answer = self._answers.get(statement.module)
        state = Availability.UNDECIDED if answer is None else answer.module
        if statement.form is ImportForm.ATTRIBUTE and state in {Availability.UNDECIDED, Availability.MISSING}:
            return  # that is said of the import itself
        if answer is None or state is Availability.UNDECIDED:
            yield "the target's interpreter could not be asked"
            return
        if answer.module is not Availability.MISSING:
            yield from self._judge_names(statement, answer, reach)
        elif statement.guard is not Guard.MODULE_ONLY:
            yield self._brings(statement.module) or _missing_module(statement, answer, reach, self._version)

    def _judge_names(
        self, statement: ImportStatement, answer: LibraryAnswer, reach: FileReach
    ) -> Iterator[Finding | str]:
        """What is said of the names that are taken from a module that is there."""
        states = {name: answer.names.get(name, Availability.UNDECIDED) for name in statement.names if name != "*"}
        if Availability.UNDECIDED in states.values():
            yield "whether the name is there depends on how the interpreter was built"
        missing = [name for name, state in states.items() if state is Availability.MISSING]
        if any(f"{statement.module}.{name}" in self._patched for name in missing):
            yield "the project sets the name itself"
            return
        if not missing:
            return
        if not reach.chain and standard_names.are_windows_names(statement.module, missing):
            yield "only Windows has the name, and no start is known to run the file"
        else:
            yield self._brings(statement.module) or _missing_names(statement, missing, reach, self._version)


def severity_of(statement: ImportStatement, reach: FileReach) -> Severity:
    """An error where the start command runs an import; a warning where it may not, or later."""
    runs = reach.certain and not statement.late and not statement.lazy
    return Severity.ERROR if runs and statement.guard not in _MAY_NOT_RUN else Severity.WARNING


def chain_words(reach: FileReach, module: str) -> str:
    """How the start command comes to an import, where there is more than one step."""
    return f" ({' → '.join((*reach.chain, module))})" if len(reach.chain) > 1 else ""


def _missing_module(statement: ImportStatement, answer: LibraryAnswer, reach: FileReach, version: str) -> Finding:
    top = statement.module.partition(".")[0]
    module = top if standard_names.history_of(top, _minor(version)) else statement.module
    words = f": {answer.words.lstrip(': ')}" if answer.words else ""
    message = f"Python {version} has no module {module}{words}{chain_words(reach, statement.module)}"
    # without a chain that reaches it, a file for another system may be imported there alone
    is_foreign = top in standard_names.WINDOWS_ONLY and not reach.chain
    severity = Severity.WARNING if is_foreign else severity_of(statement, reach)
    return Finding(Code.BG601, _range(statement), message, standard_names.successor_of(top), severity=severity)


def _missing_names(statement: ImportStatement, missing: list[str], reach: FileReach, version: str) -> Finding:
    chain = chain_words(reach, statement.module)
    message = f"cannot import name {', '.join(missing)} from {statement.module} on Python {version}{chain}"
    if statement.form is ImportForm.ATTRIBUTE:
        message = f"module {statement.module} has no attribute {missing[0]} on Python {version}{chain}"
    hint = _hint_for(statement, missing)
    return Finding(Code.BG602, _range(statement), message, hint, severity=severity_of(statement, reach))


def _hint_for(statement: ImportStatement, missing: list[str]) -> str:
    for module, elsewhere, names in _MOVED:
        if statement.module == module and names.issuperset(missing):
            return f"from {elsewhere} import {', '.join(missing)}"
    return ""


def _range(statement: ImportStatement) -> Range:
    return Range(statement.line, statement.column)


def _minor(version: str) -> int:
    return int(version.split(".")[1])
