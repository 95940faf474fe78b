"""Which `.pyc` an import would take, from its name, its first bytes and the files around it."""

from __future__ import annotations

import pytest

from buildguard.check.bytecode import StaleBytecode, SuspectBytecode, classify_bytecode, native_source
from buildguard.docker.image_stage import ImageEntry
from buildguard.stages.stage import EntryKind

_MAGIC, _TAG = b"\xa7\r\r\n", b"cpython-311"
_SOURCE = b"/app/pkg/a.py"
_CACHED = b"/app/pkg/__pycache__/a.cpython-311.pyc"
_FILES = {_SOURCE: ImageEntry(EntryKind.FILE, 7, b"", 1000)}


def _head(mtime: int = 1000, size: int = 7, flags: int = 0, magic: bytes = _MAGIC) -> bytes:
    return magic + b"".join(number.to_bytes(4, "little") for number in (flags, mtime, size))


def _classify(path: bytes, head: bytes) -> StaleBytecode | SuspectBytecode | None:
    return classify_bytecode(path, head, _FILES, _MAGIC, _TAG)


def test_bytecode_that_records_its_source_is_taken_unread() -> None:
    assert _classify(_CACHED, _head()) == SuspectBytecode(_CACHED, _SOURCE, 0)
    optimized = _CACHED.replace(b".pyc", b".opt-2.pyc")
    assert _classify(optimized, _head()) == SuspectBytecode(optimized, _SOURCE, 2)


def test_bytecode_with_a_hash_is_compared_whatever_time_it_records() -> None:
    assert isinstance(_classify(_CACHED, _head(mtime=1, size=1, flags=1)), SuspectBytecode)


@pytest.mark.parametrize(
    ("path", "head", "reason"),
    [
        (_CACHED, _head(mtime=1001), "another time or size"),
        (_CACHED, _head(size=8), "another time or size"),
        (_CACHED, _head(magic=b"\x55\r\r\n"), "magic number"),
        (_CACHED, _head()[:12], "magic number"),
        (_CACHED.replace(b"311", b"312"), _head(), "another interpreter wrote it"),
        (b"/app/pkg/__pycache__/gone.cpython-311.pyc", _head(), "there is no source for it"),
    ],
)
def test_bytecode_that_no_import_takes(path: bytes, head: bytes, reason: str) -> None:
    stale = _classify(path, head)

    assert isinstance(stale, StaleBytecode)
    assert reason in stale.reason
    assert not stale.runs


def test_bytecode_without_a_source_is_a_module_of_its_own() -> None:
    alone = _classify(b"/app/pkg/b.pyc", _head())
    foreign = _classify(b"/app/pkg/b.pyc", _head(magic=b"\x55\r\r\n"))

    assert isinstance(alone, StaleBytecode)
    assert isinstance(foreign, StaleBytecode)
    assert (alone.runs, alone.is_module) == (True, True)
    assert (foreign.runs, foreign.is_module) == (True, False)
    assert _classify(b"/app/pkg/a.pyc", _head()) is None


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (b"a.so", b"/app/a.py"),
        (b"a.abi3.so", b"/app/a.py"),
        (b"a.cpython-311-x86_64-linux-gnu.so", b"/app/a.py"),
        (b"a.cpython-311t-x86_64-linux-gnu.so", b"/app/a.py"),
        (b"a.cpython-312-x86_64-linux-gnu.so", b""),
        (b"a.so.1", b""),
        (b"a.py", b""),
    ],
)
def test_a_compiled_module_is_loaded_before_its_source(name: bytes, source: bytes) -> None:
    assert native_source(b"/app/" + name, _TAG) == source
