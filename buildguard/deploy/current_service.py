"""The service of a deploy as it is before that."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

from buildguard.deploy import plan as plans
from buildguard.deploy.environment import RequiredVariables
from buildguard.errors import UnprovenError
from buildguard.gcp import auth
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.cloud_run_jobs import CloudRunJobsClient, JobState
from buildguard.gcp.secret_manager import SecretRef, check_secrets
from buildguard.gcp.service_containers import AppContainer, Container, UnknownContainerError, read_containers
from buildguard.gcp.service_state import WHOLE, ServiceState, read_secrets
from buildguard.project.deploy_table import DeployKind
from buildguard.project.ledger import ServiceId


def _describe_split(current: ServiceState) -> str:
    """Who has how much of a service's traffic, where no revision has all of it and there is one that could."""
    if current.only_revision or not current.latest_ready:
        return ""
    return current.describe_traffic or "in an unknown way"


def read_current(identity: ServiceId, app: AppContainer, required: RequiredVariables) -> plans.CurrentService:
    """The service or the job as it is; one that cannot be asked about is no reason against a plan."""
    client = CloudRunJobsClient if identity.kind == DeployKind.JOB else CloudRunClient
    try:
        with client(identity.project, identity.region, app) as run:
            serving = _read(run, identity.service, required)
            return serving._replace(project=run.project, region=run.region)
    except UnprovenError as error:
        region = identity.region or auth.region()
        return plans.CurrentService(
            known=False,
            unknown_reason=error.words,
            unknown_because=error.reason,
            project=identity.project,
            region=region,
        )


def _read(run: CloudRunClient | CloudRunJobsClient, name: str, required: RequiredVariables) -> plans.CurrentService:
    current = run.get(name)
    if current is None:
        given = [name for name in required.declared if name in os.environ]
        return plans.CurrentService(known=True, missing=required.missing_from(given))
    if isinstance(current, JobState):
        serving = _existing_job(current, required)
        return _with_secrets(serving, run.project, current.secrets, current.account)
    assert isinstance(run, CloudRunClient)
    return _existing(run, current, required)


def described_service(
    serving: plans.CurrentService, form: Mapping[str, Any], app: AppContainer, required: RequiredVariables
) -> plans.CurrentService:
    """A service that does not exist yet, as its service.yaml describes it."""
    containers = described_containers(form)
    try:
        container = containers[app.place_in(containers, required.config.deploy.service_yaml)]
    except UnknownContainerError as error:
        return serving._replace(unclear=error.words)
    template = described_template(form)
    serving = _with_secrets(serving, serving.project, tuple(read_secrets(template)), template.service_account)
    return serving._replace(
        described=required.config.deploy.service_yaml,
        missing=required.missing_from(container.env, container),
        container=container.name if len(containers) > 1 else "",
        probe=container.probe,
    )


def described_state(name: str, form: Mapping[str, Any], app: AppContainer) -> ServiceState:
    """A service that does not exist yet, as its first revision will start."""
    containers = described_containers(form)
    return ServiceState(name, "", "", False, False, "", "", "", (), (), containers, app)


def described_containers(form: Mapping[str, Any]) -> tuple[Container, ...]:
    """The containers of a service in the form of the API's JSON."""
    return read_containers(described_template(form).containers)


def described_template(form: Mapping[str, Any]) -> Any:
    """The template of a service in the form of the API's JSON, as Google's message."""
    from google.cloud import run_v2

    return run_v2.Service.from_json(json.dumps(form)).template


def _with_secrets(
    serving: plans.CurrentService, project: str, secrets: Sequence[SecretRef], account: str
) -> plans.CurrentService:
    findings = check_secrets(project, secrets, account)
    return serving._replace(secret_problems=findings.problems, secret_notes=findings.notes)


def _existing_job(job: JobState, required: RequiredVariables) -> plans.CurrentService:
    """The job as it is; the way back is its image."""
    try:
        app = job.container
    except UnknownContainerError as error:
        return plans.CurrentService(known=True, exists=True, etag=job.etag, unclear=error.words)
    return plans.CurrentService(
        known=True,
        exists=True,
        rollback_to=app.image,
        etag=job.etag,
        missing=required.missing_from(app.env, app),
        container=app.name if len(job.containers) > 1 else "",
    )


def _existing(run: CloudRunClient, service: ServiceState, required: RequiredVariables) -> plans.CurrentService:
    """A service that exists."""
    old = service.only_revision
    if not old:  # a deploy that was ended in the middle of the traffic leaves it divided
        shares = [share for share in service.observed if share.percent and share.revision]
        sharing = [run.revision(service.name, share.revision) for share in shares]
        old = next(filter(None, map(service.before, sharing)), "")
    serving = plans.CurrentService(
        known=True,
        exists=True,
        rollback_to=old,
        etag=service.etag,
        divided=_describe_split(service),
        unclear=_unclear(service),
        latest=latest_of(service),
    )
    if serving.unclear:
        return serving
    try:
        before = run.revision(service.name, old).env if old else {}
    except UnknownContainerError as error:
        return serving._replace(unclear=error.words)
    serving = _with_secrets(serving, run.project, service.secrets, service.account)
    return serving._replace(
        missing=required.missing_from(service.env, service.container),
        lost=tuple(sorted(before.keys() - service.env.keys() - {*required.declared})),
        container=service.container.name if len(service.containers) > 1 else "",
        probe="" if service.unprobed else service.container.probe,
    )


def latest_of(service: ServiceState) -> plans.LatestTraffic:
    """What of a service's traffic follows its latest revision, whichever that is."""
    following = [share for share in service.requested if not share.revision]
    whole = not service.requested or any(share.percent == WHOLE for share in following)
    return plans.LatestTraffic(whole, tuple(share.tag for share in following if share.tag))


def _unclear(service: ServiceState) -> str:
    """Why the app's container is unknown, or the port that it listens on; empty if both are known."""
    try:
        name, port = service.container.name, service.port
    except UnknownContainerError as error:
        return error.words
    if port:
        return ""
    return (
        f"the container {name} of {service.name} has no port, and so the port that the app listens on is unknown:"
        f" gcloud run services update {service.name} --container {name} --update-env-vars PORT=8888, or a startup probe"
    )
