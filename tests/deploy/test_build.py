"""Making the image: the request to Cloud Build, what its result has to prove, and what an image has to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import pytest

from buildguard.check.result import CheckReport, TargetRow
from buildguard.compare.chain import Chain, Hop
from buildguard.compare.difference import Difference, find_differences
from buildguard.deploy import build as deploy_build
from buildguard.deploy.build import BuildEndedError, ImageDiffersError, build_in_cloud, compare_image, image_summary
from buildguard.diagnostic import DisplayPath, Unproven
from buildguard.errors import UnprovenError
from buildguard.gcp.cloud_build import BuildStatus, Provenance
from buildguard.gcp.storage import ChangedError, ObjectHashes, StoredObject
from buildguard.project.cloudbuild.build_state import BuildState
from buildguard.project.config import CloudTable, Config
from buildguard.project.image_reference import ImageDigest
from buildguard.stages.manifest import FILE, Manifest, of_bytes
from buildguard.stages.snapshot import Snapshot, StageKind
from tests.deploy.plans import IMAGE, prepared

if TYPE_CHECKING:
    from buildguard.deploy.prepared import PreparedDeploy

_STORED = StoredObject("bucket", "source/f.tgz", 7, ObjectHashes(1, "", ""))
_DIGEST = ImageDigest("sha256:" + "1" * 64)
_DONE = BuildStatus(
    "id-1", "projects/p/locations/r/builds/id-1", BuildState.SUCCESS, "", "", "https://log", "",
    Provenance(_STORED.url, "f" * 64, ""), (), (), (), ((f"{IMAGE}:bg-1", _DIGEST),),
)  # fmt: skip


class _Client:
    """Stands for both of Google's clients."""

    project = "p"

    def __init__(self) -> None:
        self.submitted: list[dict[str, Any]] = []
        self.followed: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Nothing to close."""

    def submit(self, request: dict[str, Any], _say: object) -> BuildStatus:
        self.submitted.append(request)
        return _DONE._replace(id=f"new-{len(self.submitted)}")

    def get(self, identity: str) -> BuildStatus:
        return _DONE._replace(id=identity)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> _Client:
    client = _Client()
    monkeypatch.setattr(deploy_build, "CloudBuildClient", lambda *_arguments: client)
    monkeypatch.setattr(deploy_build, "StorageClient", lambda *_arguments: client)
    return client


def _build(
    monkeypatch: pytest.MonkeyPatch,
    client: _Client,
    *endings: BuildStatus,
    deploy: PreparedDeploy | None = None,
    resume: str = "",
) -> deploy_build.BuiltImage:
    results = iter(endings)

    def follow(_builds: object, _storage: object, build: BuildStatus, *_rest: object) -> BuildStatus:
        client.followed.append(build.id)
        return next(results)._replace(id=build.id)

    monkeypatch.setattr(deploy_build, "follow_build", follow)
    return build_in_cloud(deploy or prepared(), _STORED, lambda _text: None, lambda _build: None, resume)


def test_the_image_is_the_one_that_was_pushed_by_its_digest(monkeypatch: pytest.MonkeyPatch, client: _Client) -> None:
    built = _build(monkeypatch, client, _DONE)

    assert (built.reference, built.name, built.digest) == (f"{IMAGE}@{_DIGEST}", f"{IMAGE}:bg-1", _DIGEST)
    assert (built.evidence["build"], built.evidence["fetched"]) == ("new-1", "f" * 64)
    source = {"storageSource": {"bucket": "bucket", "object": "source/f.tgz", "generation": "7"}}
    assert client.submitted == [{"steps": [], "source": source}]


def test_the_configuration_goes_into_the_request(monkeypatch: pytest.MonkeyPatch, client: _Client) -> None:
    config = Config(cloud=CloudTable(worker_pool="pool", service_account="account"))

    _build(monkeypatch, client, _DONE, deploy=prepared(config=config))

    (request,) = client.submitted
    assert request["serviceAccount"] == "account"
    assert request["options"] == {"logging": "CLOUD_LOGGING_ONLY", "pool": {"name": "pool"}}


def test_a_build_of_an_earlier_run_is_followed(monkeypatch: pytest.MonkeyPatch, client: _Client) -> None:
    assert _build(monkeypatch, client, _DONE, resume="old").evidence["build"] == "old"
    assert client.submitted == []


@pytest.mark.parametrize("kind", ["FETCH_SOURCE_FAILED", "PUSH_FAILED"])
def test_trouble_of_the_service_is_tried_once_more(monkeypatch: pytest.MonkeyPatch, client: _Client, kind: str) -> None:
    failed = _DONE._replace(status=BuildState.FAILURE, kind=kind)

    assert _build(monkeypatch, client, failed, _DONE).evidence["build"] == "new-2"
    with pytest.raises(BuildEndedError):
        _build(monkeypatch, client, failed, failed)


def test_a_failing_step_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, client: _Client) -> None:
    with pytest.raises(BuildEndedError) as raised:
        _build(monkeypatch, client, _DONE._replace(status=BuildState.FAILURE, kind="USER_BUILD_STEP"))

    assert raised.value.exit_code == 1
    assert client.followed == ["new-1"]


@pytest.mark.parametrize(
    "provenance", [Provenance("gs://bucket/other#7", "f" * 64, ""), Provenance(_STORED.url, "0" * 64, "")]
)
def test_a_build_of_something_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, client: _Client, provenance: Provenance
) -> None:
    with pytest.raises(ChangedError):
        _build(monkeypatch, client, _DONE._replace(provenance=provenance))


def test_an_image_without_a_digest_proves_nothing(monkeypatch: pytest.MonkeyPatch, client: _Client) -> None:
    with pytest.raises(UnprovenError, match="digest"):
        _build(monkeypatch, client, _DONE._replace(images=(("registry.invalid/other", _DIGEST),)))


# ------------------------------------------------------------------------------------------ what is in it


def _chain(files: dict[str, bytes], in_image: dict[str, bytes], *unproven: str) -> Chain:
    before, after = (
        Snapshot(kind, kind, Manifest([of_bytes(path.encode(), FILE, data) for path, data in several.items()]))
        for kind, several in ((StageKind.COMMIT, files), (StageKind.IMAGE, in_image))
    )
    after = after._replace(unproven=tuple(Unproven(DisplayPath(path), None, "cannot be read") for path in unproven))
    rows: tuple[Difference, ...] = tuple(find_differences(before, after))
    return Chain((Hop(before, after, rows),))


def test_an_image_may_lack_what_was_not_sent_and_nothing_else() -> None:
    chain = _chain({"a.py": b"x\n", "b.py": b"y\n"}, {"a.py": b"x\n"})

    compare_image(chain, {"b.py"})
    with pytest.raises(ImageDiffersError, match=r"b\.py") as raised:
        compare_image(chain, ())
    assert raised.value.exit_code == 1


def test_another_content_is_never_explained_by_an_ignore_rule() -> None:
    with pytest.raises(ImageDiffersError, match="BG303"):
        compare_image(_chain({"a.py": b"x\n"}, {"a.py": b"y\n"}), {"a.py"})


def test_what_could_not_be_read_is_unproven() -> None:
    chain = _chain({"a.py": b"x\n"}, {"a.py": b"x\n"}, "b.py")

    with pytest.raises(UnprovenError, match="cannot be read"):
        compare_image(chain, ())
    compare_image(chain, {"b.py"})


def test_the_summary_counts_sources_that_are_as_committed() -> None:
    chain = _chain({"a.py": b"x\n", "b.py": b"y\n", "c.txt": b"z"}, {"a.py": b"x\n", "c.txt": b"z"})
    row = TargetRow("3.11", "Dockerfile:1", "container", "image", "CPython 3.11.7", IMAGE, None, 1, 0)

    words, evidence = image_summary(chain, CheckReport(".", (row,), (), (), (), 1, 0.1))

    assert (
        words == "1 file as committed, compiled by CPython 3.11.7 (1 file left out by an ignore rule or the Dockerfile)"
    )
    assert evidence == {"files": 1, "absent": 1, "compiled": 1, "interpreter": "CPython 3.11.7"}
