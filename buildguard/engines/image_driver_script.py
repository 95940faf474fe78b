"""The program that looks at an image in Cloud Build, as a step gets it: in its arguments, so that the request vouches for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from buildguard.engines.cloud_driver_script import step_arguments
from buildguard.project.cloudbuild.assemble import Part, assemble, strip_comments

_PARTS: tuple[Part, ...] = (("remote/image_driver.py", frozenset()),)


def arguments(task: Mapping[str, Any]) -> list[str]:
    """What follows `python3` in the step that does a task."""
    end = f"import sys\nsys.exit(drive(json.loads({json.dumps(task)!r})))\n"
    return step_arguments(strip_comments(f"from __future__ import annotations\n{assemble(_PARTS)}{end}"))
