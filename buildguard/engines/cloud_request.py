"""The build that asks: a step for each share of each target's sources, side by side; it ends well whatever they find. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.remote.cloud_driver import ANSWERS

_SOURCES_OF_A_SHARE = 4000
_MOST_SHARES = 8
_MOST_STEPS = 100


class BuildOptions(NamedTuple):
    """What a build is given beside its steps; times are in seconds, how long it may take and wait for its worker."""

    worker_pool: str = ""
    service_account: str = ""
    timeout: int = 1800
    queue: int = 1800


def share_count(sources: int, images: int) -> int:
    """In how many steps the sources of a target are asked."""
    return max(1, min(-(-sources // _SOURCES_OF_A_SHARE), _MOST_SHARES, _MOST_STEPS // max(1, images)))


def plan_build(
    images: Sequence[str],
    shares: int,
    arguments: Callable[[int, int, int], list[str]],
    place: tuple[Mapping[str, Any], str],
    options: BuildOptions,
) -> dict[str, Any]:
    """The Build as the API's JSON has it; `place` is its source, and the folder of a bucket that its answers go to.

    `arguments` gives what `python3` is called with, for a target, a share and the number of shares. Artifacts are uploaded
    only when all steps have succeeded, hence `allowFailure`.
    """
    source, location = place
    steps = [
        {
            "id": f"probe-{target}-{share}",
            "name": image,
            "entrypoint": "python3",
            "args": arguments(target, share, shares),
            "waitFor": ["-"],
            "allowFailure": True,
        }
        for target, image in enumerate(images)
        for share in range(shares)
    ]
    request: dict[str, Any] = {
        "source": source,
        "steps": steps,
        "artifacts": {"objects": {"location": location, "paths": [f"{ANSWERS.decode()}/*"]}},
        "timeout": f"{options.timeout}s",
        "queueTtl": f"{options.queue}s",
        "options": {},
    }
    if options.worker_pool:
        request["options"]["pool"] = {"name": options.worker_pool}
    if options.service_account:
        # with an account of one's own the log has to go where that may write
        request["serviceAccount"] = options.service_account
        request["options"]["logging"] = "CLOUD_LOGGING_ONLY"
    return request
