"""Engines: where source is compiled, and what every engine answers with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from buildguard.definitions import NamedTuple, Protocol, StrEnum
from buildguard.diagnostic import Range
from buildguard.project.proof_grade import ProofGrade


class EngineName(StrEnum):
    """Who may compile."""

    INTERPRETER = "interpreter"
    CONTAINER = "container"
    CLOUD = "cloud"
    STATIC = "static"


class CompilerDeath(StrEnum):
    """How a compiler ended that gave no verdict, as the kind of a rejection."""

    TIME = "time"
    KILLED = "killed"
    LIMIT = "limit"
    CRASH = "crash"


class Source(NamedTuple):
    """One file under check: its number in this run, its exact bytes and their SHA-256.

    With `code`, a whole `.pyc`, the question is whether that holds what the file compiles to at an optimization level.
    With `is_question` the bytes are no source: they ask about the standard library. `reads_facts` is
    whether its imports are of interest.
    """

    number: int
    data: bytes
    digest: bytes
    code: bytes | None = None
    level: int = -1
    is_question: bool = False
    reads_facts: bool = True


class CompilerWarning(NamedTuple):
    """A warning that the compiler gave."""

    category: str
    message: str
    line: int | None


class Rejection(NamedTuple):
    """The exception that `compile` raised, by its name, or a CompilerDeath."""

    kind: str
    message: str
    range: Range = Range()
    in_parser: bool = True
    crashed: bool = False


class Outcome(NamedTuple):
    """What an engine says of one source: accepted unless `rejected` or `unproven` is set.

    `facts` is what the program in the target read of its imports, as JSON; empty where it could not.
    """

    number: int
    digest: bytes
    rejected: Rejection | None = None
    warned: tuple[CompilerWarning, ...] = ()
    unproven: str = ""
    facts: bytes = b""


class ReadyEngine(NamedTuple):
    """An engine that can answer for a target: what it is, and everything its verdicts depend on.

    The image is the one whose interpreter answers, with its id and the digest that its registry knows it by;
    `libc` is "musl" where that is what it runs on.
    """

    engine: EngineName
    proof: ProofGrade
    interpreter: str
    version: str
    identity: str
    note: str = ""
    image: str = ""
    image_id: str = ""
    image_digest: str = ""
    libc: str = ""


class UnavailableEngine(NamedTuple):
    """An engine that cannot answer for a target, why, and what would change that."""

    engine: EngineName
    reason: str
    hint: str = ""

    @property
    def words(self) -> str:
        """The reason and what would change it, on one line."""
        return f"{self.reason}; {self.hint}" if self.hint else self.reason


class Engine(Protocol):
    """Compiles sources for one target."""

    @property
    def name(self) -> EngineName:
        """Which of the engines it is."""

    def begin(self) -> None:
        """Start what takes time to get ready, and do not wait for it."""

    def prepare(self) -> ReadyEngine | UnavailableEngine:
        """Find and start what is needed, and wait until it can answer."""

    def compile(self, sources: Iterable[Source]) -> Iterator[Outcome]:
        """Judge every source, in any order. Raises UnprovenError when the engine itself is lost."""

    def close(self) -> None:
        """Leave nothing behind: no process, no file."""
