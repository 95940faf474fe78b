"""Which interpreter of an image may be a witness: CPython alone."""

from __future__ import annotations

import pytest

from buildguard.engines.verify_interpreter import CPYTHON, why_no_witness
from buildguard.engines.worker import Greeting


@pytest.mark.parametrize(
    ("implementation", "name"), [(CPYTHON, ""), ("pypy", "PyPy 3.10.14"), ("graalpy", "GraalPy 3.10.14")]
)
def test_another_implementation_is_named(implementation: str, name: str) -> None:
    greeting = Greeting(implementation, "3.10.14", "banner", "abi", "/usr/bin/python3", "sha256", libc="glibc")
    reason = why_no_witness(greeting, "acme/base:1")

    assert reason.startswith(f"acme/base:1 is {name}, and buildguard asks CPython only") if name else not reason
