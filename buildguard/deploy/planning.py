"""What a deploy will do, and what stands against it. Pure: everything that it is made from was read before."""

from __future__ import annotations

from buildguard.definitions import lazy_pattern
from buildguard.deploy.plan import (
    ArchiveSummary,
    Builder,
    CurrentService,
    DeployOptions,
    DeployPlan,
    DeploySource,
    ImageBuild,
)
from buildguard.deploy.steps import list_steps
from buildguard.project.deploy_table import NO_HEALTH

# The project of an image in Artifact Registry or Container Registry; one with an organization's domain has two parts.
_REGISTRY = lazy_pattern(
    r"[\w-]+-docker\.pkg\.dev/(?P<new>(?:[\w-]+\.[\w.-]+:)?[^/]+)/|(?:[\w-]+\.)?gcr\.io/(?P<old>(?:[\w-]+\.[\w.-]+[:/])?[^/]+)/"
)


def make_plan(
    source: DeploySource, packed: ArchiveSummary, building: ImageBuild, serving: CurrentService, wishes: DeployOptions
) -> DeployPlan:
    """The plan of a deploy."""
    refusals = tuple(_refusals(source, serving, wishes))
    steps = list_steps(source.target, building, serving, wishes)
    return DeployPlan(
        source,
        packed,
        building,
        serving,
        wishes,
        steps,
        refusals,
        tuple(_notes(source, building, serving, wishes)),
    )


def _refusals(source: DeploySource, serving: CurrentService, wishes: DeployOptions) -> list[str]:
    refusals = []
    if source.dirty and not wishes.allow_dirty:
        names = ", ".join(source.dirty[:5])
        refusals.append(
            f"uncommitted changes in {names}: commit or undo them, or pass --allow-dirty to deploy the files as they are here"
        )
    if source.pushed is False and not wishes.allow_unpushed:
        refusals.append(f"commit {source.commit[:12]} is on no remote: push it, or --allow-unpushed")
    if serving.missing:
        missing = ", ".join(serving.missing)
        remedy = _missing_remedy(serving, wishes)
        refusals.append(f"BG501 required environment variables are missing: {missing}: {remedy}")
    refusals += serving.secret_problems
    if serving.unclear:
        refusals.append(serving.unclear)
    if wishes.no_traffic and serving.alone and not wishes.is_job:
        refusals.append("--no-traffic: the first revision of a service gets its traffic at once")
    return refusals


def _missing_remedy(serving: CurrentService, wishes: DeployOptions) -> str:
    """How to set variables that are required: where the first revision is described, from here, or on what exists."""
    if serving.described:
        return f"set them in {serving.described}"
    if not serving.exists:
        first = "execution" if wishes.is_job else "revision"
        return f"export them here, and list them in required-env: the first {first} takes them from this environment"
    kind = "jobs" if wishes.is_job else "services"
    container = f" --container {serving.container}" if serving.container else ""
    return f"gcloud run {kind} update {wishes.service}{container} --update-env-vars NAME=VALUE"


WARNING = "warning: "  # begins a note that should not be passed over


def _notes(source: DeploySource, building: ImageBuild, serving: CurrentService, wishes: DeployOptions) -> list[str]:
    notes = _source_notes(source)
    if building.steps_skipped:
        notes.append(f"steps of {building.file} that will not run: {', '.join(building.steps_skipped)}")
    notes += [f"{step} of {building.file} pushes an image before it is proven" for step in building.pushes]
    notes += _service_notes(serving, wishes)
    notes += _project_note(building, serving)
    notes += _revision_notes(serving, wishes)
    if wishes.builder is Builder.LOCAL:
        notes.append(
            "built here, not by Cloud Build: another machine, network and builder version, and no build provenance,"
            " which Binary Authorization may ask for"
        )
    return notes


def _source_notes(source: DeploySource) -> list[str]:
    notes = []
    if source.pushed is None:
        notes.append("this repository has no remote, so the commit exists only here; this does not stop the deploy")
    if source.unsaved:
        notes.append(
            f"{', '.join(source.unsaved)}: the commit's settings count, and the working tree's differ; commit them,"
            " or pass --allow-dirty"
        )
    return notes


def _service_notes(serving: CurrentService, wishes: DeployOptions) -> list[str]:
    """What is worth knowing of the service as it is."""
    notes = []
    if not wishes.health and not serving.probe and not wishes.is_job:
        notes.append(NO_HEALTH)
    if wishes.no_traffic and serving.latest.whole:
        notes.append(
            f"the traffic stays pinned to {serving.rollback_to or 'the revisions that serve now'} by name, until"
            f" gcloud run services update-traffic {wishes.service} --to-latest"
        )
    return [*notes, *serving.differences, *serving.secret_notes]


def _revision_notes(serving: CurrentService, wishes: DeployOptions) -> list[str]:
    """What is worth knowing of the new revision: the variables that it loses, and its traffic."""
    notes = []
    if serving.lost:
        notes.append(
            f"{WARNING}{serving.rollback_to} has variables that the new revision loses: {', '.join(serving.lost)};"
            f" to keep them: gcloud run services update {wishes.service} --update-env-vars NAME=VALUE"
        )
    unread = serving.unknown_reason and f"the job could not be read: {serving.unknown_reason}"
    traffic = unread if wishes.is_job else _traffic_note(serving)
    return [*notes, *([traffic] if traffic else ())]


def _project_note(building: ImageBuild, serving: CurrentService) -> list[str]:
    """That the image is stored in another project than the service's, which then needs a right to read it."""
    match = _REGISTRY.match(building.shown_image)
    owner = (match["new"] or match["old"]) if match is not None else ""
    if not owner or not serving.project or "$" in owner or owner == serving.project:
        return []
    words = f"the image is in project {owner}, and the service in {serving.project}"
    right = f"its service agent needs roles/artifactregistry.reader in {owner}"
    return [f"{words}: {right}; if that is a mistake, set image in [tool.buildguard.deploy]"]


def _traffic_note(serving: CurrentService) -> str:
    """What is uncertain about the service's traffic; empty where a rollback target is known."""
    if serving.unknown_reason:
        return f"the service could not be read: {serving.unknown_reason}"
    if serving.exists and serving.alone:
        return "no revision of the service ever came up, so the new one gets its traffic at once"
    if serving.exists and not serving.rollback_to:
        return "no revision has all the traffic now, so there is no certain way back"
    if serving.divided:
        return f"the traffic is divided now: {serving.divided}; {serving.rollback_to} had all of it before"
    return ""
