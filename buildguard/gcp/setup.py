"""What this machine has for Google Cloud: packages and credentials, without a connection or Google's libraries.

Where credentials are looked for, in order: google-auth's `_default.py`. Nothing secret of a file is returned.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from buildguard.definitions import NamedTuple
from buildguard.system.home import home_folder

PACKAGES = ("google-cloud-build", "google-cloud-run", "google-cloud-storage")  # the extra `cloud`
_VARIABLE = "GOOGLE_APPLICATION_CREDENTIALS"
_FOLDER = "CLOUDSDK_CONFIG"
_NAME = "application_default_credentials.json"
_KINDS = frozenset(
    {
        "authorized_user",
        "external_account",
        "external_account_authorized_user",
        "gdch_service_account",
        "impersonated_service_account",
        "service_account",
    }
)


class CredentialsFile(NamedTuple):
    """A file with credentials: its path, what named it, its kind, and why it cannot be used (empty if it can).

    `account` is the service account that it acts as, empty for user credentials.
    """

    path: Path
    named_by: str
    kind: str = ""
    project: str = ""
    problem: str = ""
    account: str = ""


def installed() -> dict[str, str]:
    """The version of each package of the extra `cloud`; empty for one that is missing."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = ""
    return versions


def credentials_file(environ: Mapping[str, str] = os.environ) -> CredentialsFile | None:
    """The file from which Google's libraries would read credentials; None if this machine has no such file."""
    if environ.get(_VARIABLE):
        return _read(CredentialsFile(Path(environ[_VARIABLE]), _VARIABLE))
    folder = Path(environ.get(_FOLDER) or home_folder() / ".config/gcloud")
    file = CredentialsFile(folder / _NAME, "gcloud auth application-default login")
    return _read(file) if os.path.isfile(file.path) else None


def _read(file: CredentialsFile) -> CredentialsFile:
    try:
        content = json.loads(file.path.read_bytes())
        kind, project = content["type"], content.get("project_id", "")
    except OSError as error:
        return file._replace(problem=str(error.strerror))
    except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return file._replace(problem="not a credentials file")
    if kind not in _KINDS:
        return file._replace(problem="credentials of an unknown type")
    url = str(content.get("service_account_impersonation_url", ""))
    account = content.get("client_email") or url.rpartition("/")[2].partition(":")[0]
    return file._replace(kind=kind, project=str(project), account=str(account))
