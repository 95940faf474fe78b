"""`[tool.buildguard.deploy]`: what is refused when it is read, before anything is built or sent."""

from __future__ import annotations

import pytest

from buildguard.errors import UsageError
from buildguard.project import config
from buildguard.project.config_file import ConfigFile, path_inside
from buildguard.project.deploy_table import DeployTable, TrafficStage


def _deploy(*lines: str) -> DeployTable:
    return config.read({b"buildguard.toml": "\n".join(("[deploy]", *lines)).encode()}).deploy


@pytest.mark.parametrize("path", ["/", "/healthz", "/a/b?full=1"])
def test_health_is_an_absolute_path(path: str) -> None:
    assert _deploy(f'health = "{path}"').health == path


@pytest.mark.parametrize(
    "path",
    [
        "healthz",
        "https://evil.example/",
        "//evil.example/",
        "@evil.example/",
        ".evil.example/",
        ":80/",
        "/a b",
        "/\\u000aHost: x",
    ],
)
def test_health_never_names_a_host(path: str) -> None:
    """It is appended to an address that may get an identity token."""
    with pytest.raises(UsageError, match=r"buildguard.toml:2: health .* is not an absolute path"):
        _deploy(f'health = "{path}"')


@pytest.mark.parametrize(
    ("value", "stages"),
    [
        ("[0, 10, 100]", [(0, 0), (10, 0), (100, 0)]),
        ('[{percent = 10, for = "5m"}, {percent = 50, for = "90s"}, 100]', [(10, 300), (50, 90), (100, 0)]),
        ('[{percent = 5, for = "1h"}, {percent = 100}]', [(5, 3600), (100, 0)]),
    ],
)
def test_traffic_in_stages(value: str, stages: list[tuple[int, float]]) -> None:
    assert _deploy(f"traffic = {value}").traffic == tuple(TrafficStage(*stage) for stage in stages)


@pytest.mark.parametrize(
    "value",
    [
        "[10]",
        "[101, 100]",
        "[true, 100]",
        '["10", 100]',
        '[{percent = 10, for = "5 minutes"}, 100]',
        "[{percent = 10, for = 300}, 100]",
        '[{percent = 10, during = "5m"}, 100]',
        '[{for = "5m"}, 100]',
        '[{percent = 0, for = "5m"}, 100]',
        '[10, {percent = 100, for = "5m"}]',
    ],
)
def test_traffic_that_is_none(value: str) -> None:
    with pytest.raises(UsageError, match="must be percents that end with 100"):
        _deploy(f"traffic = {value}")


def test_the_regions_of_build_and_service_are_two_settings() -> None:
    read = config.read(
        {b"buildguard.toml": b'[cloud]\nregion = "us-central1"\n[deploy]\nregion = "europe-west1"\npin = true\n'}
    )

    assert (read.cloud.region, read.deploy.region, read.deploy.pin) == ("us-central1", "europe-west1", True)


def test_a_path_stays_below_the_folder_of_its_file() -> None:
    place = ConfigFile("pyproject.toml", b'baseline = "x"\n')

    assert path_inside({"baseline": "kept/base.json"}, "baseline", place) == "kept/base.json"
    for path in ("/etc/passwd", "../x", "a/../../x"):
        with pytest.raises(UsageError, match=r"pyproject.toml:1: 'baseline' must be a path below"):
            path_inside({"baseline": path}, "baseline", place)
