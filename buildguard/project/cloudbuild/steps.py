"""What a Build will run: its steps with everything filled in, in the order that their `waitFor` gives. Pure.

A Build comes as the API's JSON has it (camelCase); a build file is brought into that form first.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from typing import Any

from buildguard.definitions import NamedTuple
from buildguard.errors import UsageError
from buildguard.project.cloudbuild.durations import parse_duration
from buildguard.project.cloudbuild.substitutions import resolve_substitutions, substitute

DEFAULT_TIMEOUT = 3600.0


class BuildStep(NamedTuple):
    """One step, everything in it filled in. `after` are the numbers of the steps that it waits for.

    `timeout` is in seconds, None for the build's own; `tolerated` are exit codes that do not fail the build, None for all.
    """

    number: int
    id: str
    image: str
    args: tuple[str, ...]
    entrypoint: str
    script: str
    env: tuple[str, ...]
    secrets: tuple[str, ...]
    folder: str
    after: frozenset[int]
    timeout: float | None
    tolerated: frozenset[int] | None
    volumes: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """As Cloud Build's logs call it."""
        return f'Step #{self.number} - "{self.id}"' if self.id else f"Step #{self.number}"


class BuildPlan(NamedTuple):
    """All steps, the images that are pushed afterwards, and how long everything may take, in seconds."""

    steps: tuple[BuildStep, ...]
    images: tuple[str, ...]
    timeout: float


def plan_build_steps(build: Mapping[str, Any], built_in: Mapping[str, str]) -> BuildPlan:
    """The plan of a Build; `built_in` are the substitutions that Cloud Build brings. Raises UsageError where it has no steps."""
    options = build.get("options") or {}
    values = resolve_substitutions(
        build.get("substitutions") or {}, built_in, dynamic=bool(options.get("dynamicSubstitutions"))
    )
    steps = build.get("steps") or []
    if not steps:
        raise UsageError("this build has no steps")
    ids = {step["id"]: number for number, step in enumerate(steps) if step.get("id")}
    planned = tuple(_step(number, step, options, values, ids) for number, step in enumerate(steps))
    images = [*build.get("images", []), *(build.get("artifacts") or {}).get("images", [])]
    return BuildPlan(
        planned, tuple(substitute(image, values) for image in images), seconds(build.get("timeout")) or DEFAULT_TIMEOUT
    )


def seconds(duration: str | None) -> float | None:
    """The seconds of a duration, `600s` or `10m`; None where none is set. Raises UsageError for any other text."""
    if not duration:
        return None
    parsed = parse_duration(duration)
    if parsed is None:
        raise UsageError(f"'{duration}' is not a duration", hint="write it in seconds: 600s")
    return parsed


def _step(
    number: int, step: Mapping[str, Any], options: Mapping[str, Any], values: Mapping[str, str], ids: Mapping[str, int]
) -> BuildStep:
    def filled(texts: Iterable[str]) -> tuple[str, ...]:
        return tuple(substitute(text, values) for text in texts)

    mapped = step.get("automapSubstitutions", options.get("automapSubstitutions", False))
    env = [f"{name}={value}" for name, value in values.items()] if mapped else []
    codes = step.get("allowExitCodes") or []
    tolerated = frozenset(map(int, codes)) if codes else None if step.get("allowFailure") else frozenset({0})
    volumes = [*(options.get("volumes") or []), *(step.get("volumes") or [])]
    return BuildStep(
        number,
        substitute(step.get("id", ""), values),
        substitute(step.get("name", ""), values),
        filled(step.get("args", [])),
        substitute(step.get("entrypoint", ""), values),
        step.get("script", ""),  # nothing is substituted in a script
        (*env, *filled([*(options.get("env") or []), *step.get("env", [])])),
        (*(options.get("secretEnv") or []), *step.get("secretEnv", [])),
        posixpath.join("/workspace", substitute(step.get("dir", ""), values)),
        _after(number, step.get("waitFor") or [], ids),
        seconds(step.get("timeout")),
        tolerated | {0} if tolerated is not None else None,
        tuple((volume["name"], volume["path"]) for volume in volumes),
    )


def _after(number: int, waits: Iterable[str], ids: Mapping[str, int]) -> frozenset[int]:
    named = list(waits)
    if not named:
        return frozenset(range(number))
    unknown = [identity for identity in named if identity != "-" and identity not in ids]
    if unknown:
        raise UsageError(f"step #{number} waits for '{unknown[0]}', and no step has that id")
    return frozenset(ids[identity] for identity in named if identity != "-")
