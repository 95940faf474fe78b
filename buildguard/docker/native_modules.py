"""Compiled modules: for which processor and which C library an ELF file was made, by its bytes. Pure."""

from __future__ import annotations

from buildguard.definitions import NamedTuple
from buildguard.docker.elf import ElfLibraries, read_libraries

_MAGIC = b"\x7fELF"
_MACHINE = 18  # where the header says the processor, in two bytes
_MACHINES = {3: "386", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64"}
GLIBC, MUSL = "glibc", "musl"
# what the table of needed libraries holds
_NEEDS = {b"\0libc.so.6\0": GLIBC, b"\0libc.musl-": MUSL}
_LONGEST = max(map(len, _NEEDS))
_MOST_READ = 64 << 20  # bytes of a file whose libraries are read: of a larger one they are unknown
# the loader that runs what was made for it, by processor
LOADERS = {
    "386": {GLIBC: "/lib/ld-linux.so.2", MUSL: "/lib/ld-musl-i386.so.1"},
    "amd64": {GLIBC: "/lib64/ld-linux-x86-64.so.2", MUSL: "/lib/ld-musl-x86_64.so.1"},
    "arm": {GLIBC: "/lib/ld-linux-armhf.so.3", MUSL: "/lib/ld-musl-armhf.so.1"},
    "arm64": {GLIBC: "/lib/ld-linux-aarch64.so.1", MUSL: "/lib/ld-musl-aarch64.so.1"},
}


class ElfTarget(NamedTuple):
    """What a compiled module was made for; `libc` is empty where it needs none of the two, or names both."""

    machine: str
    libc: str

    def misfit(self, platform: str, libcs: frozenset[str]) -> str:
        """Why it cannot be loaded in an image of that platform ("linux/amd64") with those C libraries; empty if it can."""
        machine = platform.split("/")[1] if "/" in platform else ""
        if self.machine and machine and self.machine != machine:
            return f"is made for {self.machine}, and the image is for {machine}"
        if self.libc and libcs and self.libc not in libcs:
            return f"is made for {self.libc}, and the image has {' and '.join(sorted(libcs))}"
        return ""


class ElfReader:
    """Reads a file as its pieces come."""

    def __init__(self) -> None:
        self._machine = ""
        self._needs: set[str] = set()
        self._tail = b""
        self._is_elf: bool | None = None
        self._data: bytearray | None = bytearray()

    def feed(self, piece: bytes) -> None:
        """The next piece, in order."""
        if self._is_elf is False:
            return
        self._hold(piece)
        data = self._tail + piece
        if self._is_elf is None:
            if len(data) < _MACHINE + 2:
                self._tail = data
                return
            self._is_elf = data.startswith(_MAGIC)
            order = "big" if data[5] == 2 else "little"  # noqa: PLR2004  EI_DATA: 2 is the most significant byte first
            self._machine = _MACHINES.get(int.from_bytes(data[_MACHINE : _MACHINE + 2], order), "")  # type: ignore[arg-type]
        self._needs.update(name for mark, name in _NEEDS.items() if mark in data)
        self._tail = data[-_LONGEST:]

    def _hold(self, piece: bytes) -> None:
        """Keep what was read, unless the file is too large."""
        if self._data is not None:
            self._data += piece
            if len(self._data) > _MOST_READ:
                self._data = None

    @property
    def libraries(self) -> ElfLibraries | None:
        """The libraries that it needs; None where they are unknown."""
        return read_libraries(bytes(self._data)) if self._is_elf and self._data is not None else None

    @property
    def target(self) -> ElfTarget | None:
        """What it was made for; None where it is no ELF file."""
        if not self._is_elf:
            return None
        return ElfTarget(self._machine, next(iter(self._needs)) if len(self._needs) == 1 else "")
