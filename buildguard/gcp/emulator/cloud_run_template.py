"""What Cloud Run refuses of a template, and the order in which its containers start. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from google.cloud import run_v2

_LONGEST_NAME = 63


def start_order(containers: Sequence[run_v2.Container]) -> list[run_v2.Container]:
    """Containers behind those that they depend on, otherwise the ingress container first; short where they wait in a circle."""
    waiting = sorted(containers, key=lambda container: not container.ports)
    ordered: list[run_v2.Container] = []
    while waiting:
        started = {container.name for container in ordered}
        ready = next((container for container in waiting if set(container.depends_on) <= started), None)
        if ready is None:
            break
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def wrong_containers(containers: Sequence[run_v2.Container]) -> str:
    """Why Cloud Run refuses the containers of a template; empty where it does not."""
    if not containers or not all(container.image for container in containers):
        return "template.containers[0].image: should be specified"
    if len(containers) > 1:
        if sum(bool(container.ports) for container in containers) != 1:
            return "template.containers: exactly one container must have a port"
        if len({container.name for container in containers} - {""}) != len(containers):
            return "template.containers: each container needs a name of its own"
        if len(start_order(containers)) != len(containers):
            return "template.containers: depends_on names no other container, or a circle of them"
    return ""


def wrong_revision_name(service: run_v2.Service) -> str:
    """Why Cloud Run refuses the name of a template's revision; empty where it does not."""
    name = service.template.revision
    if not name or (name.startswith(f"{service.name.rpartition('/')[2]}-") and len(name) <= _LONGEST_NAME):
        return ""
    return f"template.revision: {name} must be prefixed by the service's name, 63 characters at most"
