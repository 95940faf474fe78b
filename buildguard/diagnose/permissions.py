"""The role that a denied permission needs, and the command that grants it."""

from __future__ import annotations

from collections.abc import Mapping

from buildguard.definitions import lazy_pattern

# The least role of Google's that has each permission, by its beginning.
_ROLES = (
    ("read the image", "roles/artifactregistry.reader"),
    ("storage.objects.create", "roles/storage.objectCreator"),
    ("storage.objects.delete", "roles/storage.objectUser"),
    ("storage.objects", "roles/storage.objectViewer"),
    ("storage.buckets", "roles/storage.bucketViewer"),
    ("secretmanager.versions.access", "roles/secretmanager.secretAccessor"),
    ("secretmanager", "roles/secretmanager.viewer"),
    ("artifactregistry.repositories.upload", "roles/artifactregistry.writer"),
    ("artifactregistry.repositories.create", "roles/artifactregistry.admin"),
    ("artifactregistry", "roles/artifactregistry.reader"),
    ("run.services.setIamPolicy", "roles/run.admin"),
    ("run.routes.invoke", "roles/run.invoker"),
    ("run", "roles/run.developer"),
    ("iam.serviceaccounts.actas", "roles/iam.serviceAccountUser"),
    ("iam.serviceaccounts", "roles/iam.serviceAccountTokenCreator"),
    ("cloudbuild", "roles/cloudbuild.builds.editor"),
    ("logging.logEntries", "roles/logging.logWriter"),
    ("logging", "roles/logging.viewer"),
    ("serviceusage.services.enable", "roles/serviceusage.serviceUsageAdmin"),
    ("serviceusage", "roles/serviceusage.serviceUsageConsumer"),
    ("cloudsql", "roles/cloudsql.client"),
    ("pubsub.topics.publish", "roles/pubsub.publisher"),
    ("pubsub", "roles/pubsub.subscriber"),
    ("datastore", "roles/datastore.user"),
    ("bigquery.jobs", "roles/bigquery.jobUser"),
    ("bigquery", "roles/bigquery.dataViewer"),
    ("cloudfunctions", "roles/cloudfunctions.developer"),
    ("compute", "roles/compute.viewer"),
)
_MEMBER = lazy_pattern(r"[\w.+-]+@[\w.-]+\w")
_ROLE = lazy_pattern(r"\broles/[\w.]*\w")
_ACCOUNT = lazy_pattern(r"(?i:actAs)'? denied on service account ([\w.+-]+@[\w.-]+\w)")
_PROJECT = lazy_pattern(r"projects/([a-z0-9][\w-]+)")
_REGISTRY = lazy_pattern(
    r"(?:gcr\.io|-docker\.pkg\.dev)/(?:v2/)?(?!(?:v2|token|cloud-builders|google\.com|kaniko-project)\b)([a-z][\w-]+)"
)


def role_of(permission: str) -> str:
    """The role that has a permission; a placeholder if none is known."""
    return next((role for start, role in _ROLES if permission.lower().startswith(start.lower())), "ROLE")


def grant_command(groups: Mapping[str, str], line: str, usual: str = "") -> str:
    """The gcloud command that grants what a line says was denied; the role is that of `usual`, where the line names none."""
    impersonated = _ACCOUNT.search(line)
    if impersonated is not None:  # the account that may not be used is the resource, and who deploys is not named
        return (
            f"gcloud iam service-accounts add-iam-policy-binding {impersonated[1]} --member=MEMBER"
            " --role=roles/iam.serviceAccountUser (MEMBER is who deploys, such as user:YOU@example.com)"
        )
    member = _MEMBER.search(line)
    name = groups.get("principal") or (member[0] if member else "")
    kind = "serviceAccount" if name.endswith("gserviceaccount.com") else "user"
    found = _PROJECT.search(line) or _REGISTRY.search(line)
    project = found[1] if found else "PROJECT"
    who = f"{kind}:{name}" if name else "serviceAccount:ACCOUNT"
    named = _ROLE.search(line) or _ROLE.search(usual)
    role = named[0] if named else role_of(groups.get("name", ""))
    return f"gcloud projects add-iam-policy-binding {project} --member={who} --role={role}"
