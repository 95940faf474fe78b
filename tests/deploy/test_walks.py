"""A few random walks of a service; BUILDGUARD_WALKS=100 takes as many."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.deploy.walks import walked

if TYPE_CHECKING:
    from collections.abc import Callable

    from buildguard.gcp.emulator.server import Emulator
    from tests.conftest import Project


@pytest.mark.parametrize("seed", range(int(os.environ.get("BUILDGUARD_WALKS", "2"))))
def test_a_deploy_goes_well_from_wherever_a_service_is(
    site: Project, google: Callable[..., Emulator], seed: int
) -> None:
    assert walked(site, google(), seed) == ""
