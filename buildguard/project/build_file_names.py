"""How the files are called that say how images are built: compose files, Skaffold files and workflows. Pure."""

from __future__ import annotations

from buildguard.definitions import lazy_pattern

# compose.yaml, docker-compose.yml and, over them, compose.override.yaml, docker-compose.prod.yml …
COMPOSE = lazy_pattern(rb"(?:docker-)?compose(?P<layer>[.-][^/]*)?\.ya?ml")
_SKAFFOLD = lazy_pattern(rb"(?:^|/)skaffold[^/]*\.ya?ml$")
_WORKFLOW = lazy_pattern(rb"(?:^|/)\.github/workflows/[^/]+\.ya?ml$")


def is_compose(path: bytes) -> bool:
    """Whether a path has the name of a compose file."""
    return b"compose" in path and COMPOSE.fullmatch(path[path.rfind(b"/") + 1 :]) is not None


def is_skaffold(path: bytes) -> bool:
    """Whether a path has the name of a Skaffold file."""
    return b"skaffold" in path and _SKAFFOLD.search(path) is not None


def is_workflow(path: bytes) -> bool:
    """Whether a path is a workflow of GitHub's."""
    return b".github/workflows/" in path and _WORKFLOW.search(path) is not None
