"""A permission that is missing: for whom, on what, and the command that grants it. Pure but for the names of this machine's account.

Google's errors carry an ErrorInfo where the service sends one, and otherwise a sentence in one of a few forms.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern

_PERMISSION = r"(?P<permission>[a-z]+\.[A-Za-z]+\.[A-Za-z]+)"
_SENTENCES = (
    re.compile(
        rf"(?P<principal>\S+@\S+) does not have {_PERMISSION} access to (?:the )?(?P<resource>.+?)\.?(?: Permission|$)"
    ),
    re.compile(
        rf"[Pp]ermission ['\"]?{_PERMISSION}['\"]? denied (?:on|for) (?:the )?(?P<kind>resource|service account) ['\"]?(?P<resource>[^\s'\"]+)"
    ),
    re.compile(rf"[Pp]ermission ['\"]?{_PERMISSION}['\"]? denied"),
)
# The least predefined role that has a permission; the first prefix that fits counts.
_ROLES = (
    ("run.services.get", "roles/run.viewer"),
    ("run.revisions.", "roles/run.viewer"),
    ("run.routes.invoke", "roles/run.invoker"),
    ("run.", "roles/run.developer"),
    ("cloudbuild.builds.get", "roles/cloudbuild.builds.viewer"),
    ("cloudbuild.builds.list", "roles/cloudbuild.builds.viewer"),
    ("cloudbuild.", "roles/cloudbuild.builds.editor"),
    ("storage.buckets.create", "roles/storage.admin"),
    ("storage.buckets.", "roles/storage.bucketViewer"),
    ("storage.objects.", "roles/storage.objectUser"),
    ("artifactregistry.repositories.uploadArtifacts", "roles/artifactregistry.writer"),
    ("artifactregistry.", "roles/artifactregistry.reader"),
    ("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser"),
    ("iam.serviceAccounts.", "roles/iam.serviceAccountTokenCreator"),
    ("serviceusage.", "roles/serviceusage.serviceUsageConsumer"),
    ("logging.", "roles/logging.viewer"),
)
_PLACES = (
    (re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<place>[^/]+)/services/(?P<name>[^/]+)"), "run services", "region"),
    (re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<place>[^/]+)/repositories/(?P<name>[^/]+)"), "artifacts repositories", "location"),
)  # fmt: skip
_BUCKET = lazy_pattern(r"(?:projects/_/)?buckets/(?P<name>[^/\s]+)")
_ACCOUNT = lazy_pattern(r"(?:projects/[^/]+/serviceAccounts/)?(?P<name>[^/\s]+@[^/\s]+\.gserviceaccount\.com)")
_PROJECT = lazy_pattern(r"projects/(?P<project>[^/\s]+)")


class Denial(NamedTuple):
    """A permission that is missing, on which resource, and whose (each empty if unknown)."""

    permission: str
    resource: str = ""
    principal: str = ""

    def describe(self, principal: str = "") -> str:
        """In words; `principal` is this machine's account, if the error names none."""
        return f"{self.principal or principal or 'your account'} lacks {self.permission}" + (
            f" on {self.resource}" if self.resource else ""
        )

    def remedy(self, principal: str = "", project: str = "") -> str:
        """The command that grants the least role with the permission."""
        role = next((role for prefix, role in _ROLES if _key(self.permission).startswith(_key(prefix))), "ROLE")
        grant = f"--member={_member(self.principal or principal)} --role={role}"
        return f"gcloud {_holder(self.resource, project)} {grant}"


def read_denial(text: str, metadata: Mapping[str, Any] | None = None) -> Denial | None:
    """The permission that an error of Google's is about: by its ErrorInfo, else by its sentence; None for another error."""
    known = metadata or {}
    if known.get("permission"):
        return Denial(str(known["permission"]), str(known.get("resource", "")))
    for sentence in _SENTENCES:
        match = sentence.search(text)
        if match is not None:
            fields = match.groupdict()
            return Denial(fields["permission"], fields.get("resource") or "", fields.get("principal") or "")
    return None


def disabled_api(reason: str, metadata: Mapping[str, Any] | None) -> str:
    """The API that a project has to enable first; empty for another error."""
    return str((metadata or {}).get("service", "")) if reason == "SERVICE_DISABLED" else ""


def _key(permission: str) -> str:
    return permission.lower()  # Cloud Run writes iam.serviceaccounts.actAs


def _member(principal: str) -> str:
    if not principal:
        return "user:YOU@EXAMPLE.COM"
    return f"{'serviceAccount' if principal.endswith('.gserviceaccount.com') else 'user'}:{principal}"


def _holder(resource: str, project: str) -> str:
    """The part of the command that names whose policy gets the binding."""
    for pattern, group, flag in _PLACES:
        if match := pattern.search(resource):
            place = f"--project={match['project']} --{flag}={match['place']}"
            return f"{group} add-iam-policy-binding {match['name']} {place}"
    if match := _ACCOUNT.search(resource):
        return f"iam service-accounts add-iam-policy-binding {match['name']}"
    if match := _BUCKET.search(resource):
        return f"storage buckets add-iam-policy-binding gs://{match['name']}"
    match = _PROJECT.search(resource)
    return f"projects add-iam-policy-binding {match['project'] if match else project or 'PROJECT'}"
