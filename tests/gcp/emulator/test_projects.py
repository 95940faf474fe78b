"""Each call is of a project, and another's is refused as Google refuses it."""

from __future__ import annotations

import pytest
import requests
from google.api_core import exceptions as api
from google.cloud import run_v2
from google.cloud.devtools import cloudbuild_v1 as cb

from buildguard.gcp.emulator.front import FrontProxy
from buildguard.gcp.emulator.projects import Projects

_OWN, _OTHER = "projects/own/locations/r", "projects/other/locations/r"


@pytest.mark.parametrize("parent", [_OWN, _OTHER])
def test_a_request_names_its_project(parent: str) -> None:
    requests_of_it = [
        run_v2.GetServiceRequest(name=f"{parent}/services/web"),
        run_v2.CreateServiceRequest(parent=parent, service_id="web"),
        run_v2.UpdateServiceRequest(service=run_v2.Service(name=f"{parent}/services/web")),
        run_v2.UpdateJobRequest(job=run_v2.Job(name=f"{parent}/jobs/migrate")),
        cb.GetBuildRequest(project_id=parent.split("/")[1], id="1"),
        cb.GetBuildRequest(name=f"{parent}/builds/1"),
        cb.ListBuildsRequest(parent=parent),
    ]
    projects = Projects({"own"})
    for request in requests_of_it:
        if parent == _OWN:
            projects.check_request(request)
        else:
            with pytest.raises(api.PermissionDenied, match="Permission denied on resource project other"):
                projects.check_request(request)


def test_an_operation_is_of_its_builds_project() -> None:
    Projects({"own"}).check_name("operations/build/own/MQ==")
    with pytest.raises(api.PermissionDenied):
        Projects({"own"}).check_name("operations/build/other/MQ==")


def test_the_proxy_leads_nowhere_else() -> None:
    front = FrontProxy("http://127.0.0.1:1", "http://127.0.0.1:2")
    try:
        proxies = {"http": front.address, "https": front.address}
        for url in ("http://example.invalid/", "http://127.0.0.1:3/", "http://evil-run.emulator.invalid.example/"):
            assert requests.get(url, proxies=proxies, timeout=60).status_code == 403
        with pytest.raises(requests.exceptions.ProxyError, match="403"):
            requests.get("https://example.invalid/", proxies=proxies, timeout=60)
    finally:
        front.close()
    assert front.address.startswith("http://127.0.0.1:")
