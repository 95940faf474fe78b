"""The application of a Celery worker, and what the order of its options says."""

from __future__ import annotations

import pytest

from buildguard.project.celery_start import apply_celery
from buildguard.project.server_options import SERVERS, parse_options
from buildguard.project.start_command import CommandPlace, StartCommand, StartContext


@pytest.mark.parametrize(
    ("arguments", "pin", "undecided"),
    [
        (["worker"], "", "celery gets no application"),
        (["-A", "shop", "worker"], "", ""),
        (["worker", "-A", "shop"], "", "celery takes -A behind its command up to version 4 only"),
        (["worker", "-A", "shop"], "celery[redis]==4.4.7\n", ""),
        (["worker", "-A", "shop"], "celery==5.2\n", "celery takes -A behind its command up to version 4 only"),
        (["-A", "celery", "worker"], "", "the application 'celery' of celery is not understood"),
    ],
)
def test_what_a_worker_loads_depends_on_its_options_and_its_version(
    arguments: list[str], pin: str, undecided: str
) -> None:
    start = StartCommand(CommandPlace("Dockerfile", 1), server="celery", arguments=tuple(arguments), folder="/srv")
    parsed = parse_options(arguments, SERVERS["celery"], {})

    found = apply_celery(start, parsed, StartContext("/srv", {}, {"/srv/requirements.txt": pin.encode()}.get))

    assert found.undecided == undecided
    assert found.search_path[:1] == ("/srv",)
