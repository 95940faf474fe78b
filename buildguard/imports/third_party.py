"""BG603: what can answer for the imports of installed packages, and the answers. Pure."""

from __future__ import annotations

from buildguard.definitions import NamedTuple, Protocol, StrEnum
from buildguard.imports.records import ImportStatement


class PackagePresence(StrEnum):
    """Whether an installed package brings what an import asks for."""

    PRESENT = "present"
    MISSING = "missing"
    DEVELOPMENT = "development"
    NAME_MISSING = "name missing"
    UNKNOWN = "unknown"


class PackageAnswer(NamedTuple):
    """An answer: the presence, what is missing (a module or a name), and a detail for people."""

    presence: PackagePresence
    missing: str = ""
    detail: str = ""


class PackageSource(Protocol):
    """What knows which packages are installed; `predicted` says that it only expects them."""

    @property
    def predicted(self) -> bool:
        """Whether its answers are predictions."""

    @property
    def words(self) -> str:
        """What it is, for people: a lock file, an image, a folder."""

    def ask(self, row: ImportStatement) -> PackageAnswer:
        """Whether an absolute import is satisfied."""
