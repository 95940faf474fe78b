"""The engines beside each other: the same interpreter on this machine, in a container, and in a build of the emulator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bench.limits import check, compile_loop, seconds, target
from bench.measure import Command, Timing, ratio, side_by_side
from bench.trees import tree

if TYPE_CHECKING:
    from bench.peers import Row

_EXPORT = """
import docker, sys
api = docker.from_env(version="auto").api
container = api.create_container(sys.argv[1], ["true"])["Id"]
try:
    for _chunk in api.export(container):
        pass
finally:
    api.remove_container(container)
"""
_FILES = 1_000
_BUILDGUARD = str(Path(sys.executable).with_name("buildguard"))


def container(folder: Path, rounds: int) -> list[Row]:
    """The same interpreter on this machine and in a container; a second is granted for starting one."""
    image = _assemble()
    timings = side_by_side(
        {
            "interpreter": Command(check("--no-cache", "--engine", "interpreter"), folder),
            "container": Command(check("--no-cache", "--engine", "container", "--image", image), folder),
        },
        rounds,
    )
    granted = Timing([max(0.0, elapsed - 1) for elapsed in timings["container"].rounds])
    return [
        ("container, less a second: of the interpreter", ratio(granted, timings["interpreter"]), "1.1"),
        *seconds("container", timings, *timings),
    ]


def cloud(folder: Path, rounds: int) -> list[Row]:
    """A whole round through Cloud Build, as the emulator runs it on this machine, beside the same image asked directly."""
    image = _assemble()
    asked = check("--no-cache", "--image", image, "--engine")
    timings = side_by_side(
        {
            "cloud": Command([_BUILDGUARD, "emulator", "--", *asked, "cloud"], folder),
            "container": Command([*asked, "container"], folder),
        },
        rounds,
    )
    what = "cloud engine, emulator and build included: of the container engine"
    return [(what, ratio(timings["cloud"], timings["container"]), "1.5"), *seconds("cloud engine", timings, *timings)]


def image(scratch: Path, rounds: int) -> list[Row]:
    """A built image read out of the engine and checked, beside reading it and compiling its sources on every core."""
    from tests import images

    folder = tree(_FILES)
    sources = {f"app/{path.relative_to(folder)}": path.read_bytes() for path in sorted(folder.rglob("*.py"))}
    reference = images.derived(f"{images.REPOSITORY}/bench-app:{target()[0]}", _assemble(), sources)
    timings = side_by_side(
        {
            "check image:REF": Command([_BUILDGUARD, "check", f"image:{reference}:/app", "--no-cache"], folder),
            "export and compile loop": Command(
                ["sh", "-c", f"'{sys.executable}' -c '{_EXPORT}' '{reference}'; {compile_loop(folder, scratch)}"],
                folder,
            ),
        },
        rounds,
    )
    what = f"check image: with {_FILES:,} sources, nothing cached: of the engine's export and a bare compile loop"
    return [(what, ratio(*timings.values()), "2"), *seconds("image", timings, "check image:REF")]


def _assemble() -> str:
    from tests import images

    version, _python = target()
    return images.assemble(f"{images.REPOSITORY}/bench:{version}", version)
