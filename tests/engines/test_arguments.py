"""What engines hand to an interpreter on its command line."""

from __future__ import annotations

import sys
from pathlib import Path

from buildguard.engines.container_transport import relay_arguments
from buildguard.engines.interpreter import local_probe
from buildguard.engines.verify_interpreter import facts_text, probe_text


def test_no_program_is_as_long_as_an_argument_may_be() -> None:
    """Linux takes arguments of up to 128 KiB; what reads imports is longer, and grows."""
    probe = local_probe(Path(sys.executable), 1 << 30, "3.9")
    relay = relay_arguments(probe_text())

    assert max(map(len, [*probe, *relay])) < 32 << 10
    assert len(facts_text()) > 64 << 10
