"""GitHub workflows: the images that `docker/build-push-action` builds. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from buildguard.definitions import TYPE_CHECKING, lazy_pattern
from buildguard.project.yaml import Node

if TYPE_CHECKING:
    from buildguard.project.declared_builds import DeclaredBuild
    from buildguard.project.yaml import Node

ACTION = b"docker/build-push-action"
_MATRIX = lazy_pattern(r"\$\{\{\s*matrix\.([\w-]+(?:\.[\w-]+)?)\s*\}\}")
_WORKSPACE = lazy_pattern(r"^\$\{\{\s*github\.workspace\s*\}\}/?")
_LONGEST = 1 << 18
_MOST_COMBINATIONS = 100


def builds(files: Mapping[str, bytes]) -> tuple[list[DeclaredBuild], list[str]]:
    """Every image that some workflows build of the checkout, and notes on files that could not be read."""
    if not files:
        return [], []
    from buildguard.project import yaml
    from buildguard.project.yaml import InvalidYamlError

    images: dict[DeclaredBuild, None] = {}
    notes: list[str] = []
    for file, data in sorted(files.items()):
        if ACTION not in data or len(data) > _LONGEST:
            continue
        try:
            jobs = yaml.read(data, file).get("jobs")
        except InvalidYamlError as error:
            notes.append(f"{error.what}; its build contexts are not known")
            continue
        for _name, job in jobs.pairs() if jobs is not None else ():
            images.update(dict.fromkeys(_of_job(job, file)))
    return list(images), notes


def _of_job(job: Node, file: str) -> Iterator[DeclaredBuild]:
    from buildguard.project.declared_builds import UnusableBuildError
    from buildguard.project.yaml import Node

    steps = job.get("steps")
    listed = steps.items() if steps is not None else []
    if any(_checks_out_elsewhere(step) for step in listed):
        return
    for step in listed:
        uses, settings = step.get("uses"), step.get("with")
        if uses is None or not uses.text().startswith(ACTION.decode() + "@"):
            continue
        for values in _combinations(job):
            try:
                yield _build(settings or Node("", step.line, "null"), values, f"{file}:{step.line}")
            except UnusableBuildError:
                continue  # what an expression sets is not known


def _checks_out_elsewhere(step: Node) -> bool:
    """Whether a step checks out another repository, or into a folder of its own."""
    uses = step.get("uses")
    if uses is None or not uses.text().startswith("actions/checkout@"):
        return False
    return step.get("with", "path") is not None or step.get("with", "repository") is not None


def _combinations(job: Node) -> Iterator[Mapping[str, str]]:
    """The values of a job's matrix, in each combination, as far as they are written down."""
    matrix = job.get("strategy", "matrix")
    if matrix is None or matrix.kind != "map":
        yield {}
        return
    include = matrix.get("include")
    rows = [dict(_flat("", item)) for item in include.items()] if include is not None else []
    axes = {name: node.items() for name, node in matrix.pairs() if name not in {"include", "exclude"} and node.items()}
    combined = itertools.product(*axes.values()) if axes else []
    products = [
        dict(pair for name, item in zip(axes, values, strict=True) for pair in _flat(name, item)) for values in combined
    ]
    yield from [*products, *rows][:_MOST_COMBINATIONS] or [{}]


def _flat(name: str, item: Node) -> Iterator[tuple[str, str]]:
    if item.kind == "map":
        for key, value in item.pairs():
            yield f"{name}.{key}" if name else key, value.text()
    elif name:
        yield name, item.text()


def _build(settings: Node, matrix: Mapping[str, str], place: str) -> DeclaredBuild:
    from buildguard.project.declared_builds import DeclaredBuild, path_inside

    def text(name: str, otherwise: str = "") -> str:
        node = settings.get(name)
        raw = _WORKSPACE.sub("", node.text()) if node is not None else ""
        return _MATRIX.sub(lambda match: matrix.get(match[1], match[0]), raw) or otherwise

    context = path_inside("", text("context", "."), "the context")
    default = f"{context}/Dockerfile" if context else "Dockerfile"
    path = path_inside("", text("file", default), "the Dockerfile")
    pairs = (line.strip().partition("=") for line in text("build-args").splitlines())
    arguments = tuple(sorted((name, value) for name, equals, value in pairs if equals and "$" not in value))
    stage = text("target")
    return DeclaredBuild(path, context, arguments, place, "" if "$" in stage else stage)
