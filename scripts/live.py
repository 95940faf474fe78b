"""buildguard against a real project, step by step, with a transcript that can be published: see `scripts/live`.

The steps are plain functions over a frozen context, so that a test can run them on the emulator.
"""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from buildguard.errors import GuardError
from buildguard.gcp import auth, identity_token
from buildguard.gcp.cloud_run import CloudRunClient
from buildguard.gcp.storage import ObjectUrl, StorageClient
from buildguard.project.source_archive import pack
from buildguard.stages.git_objects import commit_of
from buildguard.system import git

_REPOSITORY = "buildguard-live"
_WITHIN = 900
_SERVER = """\
import http.server, os


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(os.environ.get("K_REVISION", "").encode())


http.server.HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
"""
_BROKEN = 'def text(row):\n    return f"{row["name"]}"\n'
_ACCOUNT = re.compile(r"[\w.+-]+@[\w.-]+")


class LiveError(Exception):
    """A step that did not end as it has to."""


class Live(NamedTuple):
    """What the steps work on; `image` is the name of the image without a tag."""

    folder: Path
    project: str
    region: str
    service: str
    image: str
    base: str
    tell: Callable[[str], object]

    def run(self, *words: str, status: int, says: str = "") -> str:
        """Run buildguard, and write down what it printed. Raises LiveError for another status, or without those words."""
        argv = [sys.executable, "-m", "buildguard", *words]
        self.tell(f"$ buildguard {' '.join(words)}")
        started = time.monotonic()
        done = subprocess.run(argv, cwd=self.folder, capture_output=True, text=True, timeout=_WITHIN, check=False)
        output = done.stdout + done.stderr
        self.tell(f"{output.rstrip()}\n[status {done.returncode} after {time.monotonic() - started:.1f} s]\n")
        if done.returncode != status or says not in output:
            raise LiveError(f"buildguard {words[0]}: status {done.returncode}, and not {status} with {says!r}")
        return output

    def commit(self, files: Mapping[str, str]) -> None:
        """Write files, and commit everything."""
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        identity = ["-c", "user.name=live", "-c", "user.email=live@example.invalid"]
        for words in (["add", "-A"], [*identity, "commit", "-qm", "live"]):
            self.git(*words)

    def git(self, *words: str) -> None:
        """Run git in the repository."""
        argv = ["git", *words]
        subprocess.run(argv, cwd=self.folder, check=True, capture_output=True)

    @property
    def places(self) -> list[str]:
        """The flags that name the project and the region."""
        return ["--project", self.project, "--region", self.region]


def prepare(live: Live) -> None:
    """A repository with a service, and a file that Python 3.11 rejects."""
    live.git("init", "-q")
    deploy = (
        f'service = "{live.service}"\nimage = "{live.image}"\nhealth = "/healthz"\nroot = "/app"\ntraffic = [50, 100]\n'
    )
    cloud = f'project = "{live.project}"\nregion = "{live.region}"\n'
    live.commit(
        {
            "Dockerfile": f'FROM {live.base}\nWORKDIR /app\nCOPY . .\nCMD ["python3", "app/serve.py"]\n',
            "app/serve.py": _SERVER,
            "app/report.py": _BROKEN,
            "buildguard.toml": f"[cloud]\n{cloud}[deploy]\n{deploy}",
        }
    )


def check(live: Live) -> None:
    """A file that the target rejects is named; the repair is proven."""
    live.run("check", status=1, says="app/report.py")
    live.run("fix", status=0)
    live.commit({})
    live.run("check", status=0)


def corrupted_upload(live: Live) -> None:
    """An archive in the bucket whose member was altered: the file and the kind of change are named."""
    with tempfile.TemporaryDirectory() as folder, StorageClient(live.project) as storage:
        archive = Path(folder) / "source.tgz"
        repository = git.repository_of(live.folder)
        if repository is None:
            raise LiveError("no repository")
        pack(commit_of(repository, "HEAD"), archive)
        tar = gzip.decompress(archive.read_bytes())
        archive.write_bytes(gzip.compress(tar.replace(b"send_response(200)", b"send_response(210)")))
        bucket = storage.ensure("", storage.project, live.region)
        url = storage.upload(archive, bucket, f"buildguard/live/{live.service}.tgz").uploaded.url
    live.run("diff", "commit:HEAD", url, "--project", live.project, status=1, says="app/serve.py")


def cloud_build(live: Live) -> None:
    """Cloud Build compiles the sources, and the bytes are compared up to its workspace."""
    live.run("check", "--engine", "cloud", "--no-cache", *live.places, status=0)


def deploy(live: Live) -> None:
    """The first revision, built by Cloud Build."""
    live.run("deploy", "--yes", "--allow-unpushed", *live.places, status=0, says="deployed: ")


def build_local(live: Live) -> None:
    """The second revision, built here."""
    live.commit({"app/serve.py": f"# second\n{_SERVER}"})
    live.run("deploy", "--yes", "--allow-unpushed", "--build-local", *live.places, status=0, says="deployed: ")


def rollback(live: Live) -> None:
    """Back to the first revision, and what the ledger has of it."""
    live.run("rollback", *live.places, status=0, says="rolled back: ")
    live.run("history", *live.places, status=0)


def clean_up(live: Live) -> None:
    """Remove the service and the objects that the steps made."""
    with suppress(GuardError), CloudRunClient(live.project, live.region) as run:
        run.delete(live.service)
    with suppress(GuardError), StorageClient(live.project) as storage:
        bucket = storage.ensure("", storage.project, live.region)
        for prefix in ("buildguard/live/", "buildguard/ledger/", "buildguard/lock/", "buildguard/cycles/"):
            for name in storage.names(bucket, prefix):
                if live.service in name:
                    storage.remove(bucket, name, storage.look(ObjectUrl(bucket, name, 0)).generation)
    live.tell(f"removed the service {live.service} and its objects")


STEPS = (prepare, check, corrupted_upload, cloud_build, deploy, build_local, rollback)


def run(live: Live) -> int:
    """Every step, and the clean-up whatever happens; 0 if all of them ended as they have to."""
    started = time.monotonic()
    try:
        for step in STEPS:
            live.tell(f"## {step.__name__}: {step.__doc__}\n")
            step(live)
    except (LiveError, GuardError, subprocess.SubprocessError) as error:
        live.tell(f"FAILED: {error}")
        return 1
    else:
        live.tell(f"all steps succeeded in {time.monotonic() - started:.0f} s")
        return 0
    finally:
        clean_up(live)


def main(project: str, region: str) -> int:
    """Run the steps in a real project."""
    if not auth.principal():
        print(f"these are user credentials: {identity_token.HINT}", file=sys.stderr)
        return 2
    name = f"live-{time.strftime('%Y%m%d-%H%M%S')}.txt"
    place = ["--project", project, "--location", region]
    create = ["gcloud", "artifacts", "repositories", "create", _REPOSITORY, "--repository-format", "docker", *place]
    subprocess.run(create, check=False, capture_output=True)
    with tempfile.TemporaryDirectory() as folder, open(name, "w", encoding="utf-8") as transcript:

        def tell(text: str) -> None:
            shown = _ACCOUNT.sub("ACCOUNT", auth.redact(text)).replace(project, "PROJECT")
            print(shown, flush=True)
            transcript.write(f"{shown}\n")

        image = f"{region}-docker.pkg.dev/{project}/{_REPOSITORY}/web"
        live = Live(Path(folder), project, region, f"bg-live-{uuid.uuid4().hex[:6]}", image, "python:3.11-slim", tell)
        status = run(live)
    delete = [
        "gcloud",
        "artifacts",
        "docker",
        "images",
        "delete",
        image,
        "--delete-tags",
        "--quiet",
        "--project",
        project,
    ]
    subprocess.run(delete, check=False, capture_output=True)
    print(f"transcript: {os.path.abspath(name)}")
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
