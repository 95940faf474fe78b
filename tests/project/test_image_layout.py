"""Where a Dockerfile puts what, and what is told from paths alone."""

from __future__ import annotations

import pytest

from buildguard.check import image_promise
from buildguard.engines.engine import EngineName, ReadyEngine
from buildguard.project import dockerfile, image_layout
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion, Target

_FILES = ["a.py", "pkg/b.py", "pkg/sub/c.py", "src/d.py", "backend/e.py", "requirements.txt"]


def _layout(text: str, context: str = "", **arguments: str) -> dict[str, str]:
    return image_layout.follow_dockerfile(text.encode(), arguments, "", context, _FILES).twins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY a.py /app/", {"/app/a.py": "a.py"}),
        ("COPY a.py /app", {"/app": "a.py"}),
        ("COPY a.py /app/main.py", {"/app/main.py": "a.py"}),
        ("WORKDIR /app\nCOPY pkg .", {"/app/b.py": "pkg/b.py", "/app/sub/c.py": "pkg/sub/c.py"}),
        ("WORKDIR /app\nWORKDIR x\nCOPY pkg/ y/", {"/app/x/y/b.py": "pkg/b.py", "/app/x/y/sub/c.py": "pkg/sub/c.py"}),
        ("COPY *.py /app/", {"/app/a.py": "a.py"}),
        ("COPY a.py requirements.txt /app/", {"/app/a.py": "a.py", "/app/requirements.txt": "requirements.txt"}),
        ('COPY ["a.py", "/my app/"]', {"/my app/a.py": "a.py"}),
        ("ENV D=/x\nCOPY a.py ${D}/", {"/x/a.py": "a.py"}),
        ("ENV D /x\nCOPY a.py $D/", {"/x/a.py": "a.py"}),
        ("ARG D=/x\nCOPY a.py $D/", {"/given/a.py": "a.py"}),
        ("COPY a.py $UNKNOWN/", {}),
        ("COPY --from=somewhere/else a.py /app/", {}),
        ("COPY ../a.py /app/", {"/app/a.py": "a.py"}),
        ("COPY nothing.py /app/", {}),
        ("RUN git clone x /app", {}),
    ],
)
def test_copies(text: str, expected: dict[str, str]) -> None:
    assert _layout(f"FROM python:3.11\n{text}\n", D="/given") == expected


def test_stages_are_followed() -> None:
    text = (
        "FROM python:3.11 AS base\nWORKDIR /base\nCOPY a.py .\n"
        "FROM base AS build\nCOPY pkg pkg\n"
        "FROM python:3.11\nCOPY --from=build /base /app\nCOPY --from=1 /base/pkg/b.py /single.py\n"
    )

    assert _layout(text) == {
        "/app/a.py": "a.py",
        "/app/pkg/b.py": "pkg/b.py",
        "/app/pkg/sub/c.py": "pkg/sub/c.py",
        "/single.py": "pkg/b.py",
    }


def test_a_context_below_the_root() -> None:
    assert _layout("FROM python:3.11\nCOPY . /app\n", "backend") == {"/app/e.py": "backend/e.py"}


def test_roots() -> None:
    text = b"FROM python:3.11\nCOPY a.py /usr/local/bin/\nCOPY . /app\nCOPY pkg /app/pkg\nCOPY src /srv/src\n"

    found = image_layout.follow_dockerfile(text, {}, "", "", _FILES)

    assert found.roots == ("/app", "/srv/src", "/usr/local/bin/a.py")


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["/app/a.py", "/app/pkg/b.py"], ("/app", "", True)),
        (["/app/a.py", "/app/pkg/b.py", "/usr/lib/python3/dist-packages/x/a.py"], ("/app", "", True)),
        (["/app/a.py", "/app/pkg/b.py", "/elsewhere/a.py"], ("/app", "", True)),
        (["/app/b.py", "/app/sub/c.py"], ("/app", "pkg", True)),
        (["/one/a.py", "/two/a.py"], ("/two", "", False)),
        (["/one/a.py", "/one/pkg/b.py", "/two/a.py", "/two/src/d.py"], ("/two", "", False)),
        (["/app/z.py"], None),
    ],
)
def test_the_best_match(paths: list[str], expected: tuple[str, str, bool] | None) -> None:
    found = image_layout.find_best_match(paths, _FILES[:-1], {"", "pkg"})

    assert (None if found is None else (found.root, found.prefix, found.certain)) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("RUN pip install x", False),
        ("RUN apt-get update && apt-get install -y gcc", False),
        ("RUN apt-get update && apt-get install -y python3.12", True),
        ("RUN apk add --no-cache python3", True),
        ("RUN uv python install 3.12", True),
        ("RUN uv sync", False),
        ("RUN conda create -n x python=3.9", True),
        ("COPY --from=build /opt/venv /opt/venv", False),
        ("COPY --from=build /usr/local /usr/local", True),
        ("COPY --from=build /opt/python3.12 /opt/python3.12", True),
        ("COPY . /app", False),
    ],
)
def test_another_python(text: str, found: bool) -> None:
    stages = dockerfile.stages(f"FROM python:3.11\n{text}\n".encode(), {})

    assert dockerfile.installs_python(stages) == (f"line 2 {dockerfile.installs_python(stages)[7:]}" if found else "")
    assert bool(dockerfile.installs_python(stages)) is found


@pytest.mark.parametrize(
    ("reference", "declared", "runs", "count"),
    [
        ("python:3.11-slim", "3.11", "3.11.9", 0),
        ("python:3.11.9-slim", "3.11.9", "3.11.9", 0),
        ("python:3.11.9-slim", "3.11.9", "3.11.2", 1),
        ("python:3.11-slim", "3.11", "3.12.1", 1),
        ("app:1", "3.11", "3.12.1", 1),
        ("python:3.12-slim", "3.11", "3.12.1", 1),
        ("python:3.12-slim", "3.11", "3.13.0", 2),
        ("app:1", None, "3.13.0", 0),
        ("python:3.11", None, "3.13.0", 1),
    ],
)
def test_promises(reference: str, declared: str | None, runs: str, count: int) -> None:
    version = PythonVersion.parse(declared) if declared is not None else None
    ready = ReadyEngine(
        EngineName("container"), ProofGrade("image"), f"CPython {runs}", runs, "", image=reference, image_id="sha256:x"
    )

    found = image_promise.find_broken_promises(Target(version, "Dockerfile:3"), ready)

    assert len(found) == count
    for one in found:
        assert (one.code, one.path, one.range.line) == ("BG402", "Dockerfile", 3)
        assert f"CPython {runs}" in one.message


def _doubts(text: str) -> dict[str, str]:
    return dict(image_layout.follow_dockerfile(f"FROM python:3.11\n{text}\n".encode(), {}, "", "", _FILES).doubts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY p*g /app/", {"/app/b.py": "pkg/b.py", "/app/sub/c.py": "pkg/sub/c.py"}),
        ("COPY */e.py /app/", {"/app/e.py": "backend/e.py"}),
        ("COPY --exclude=sub pkg /app", {"/app/b.py": "pkg/b.py"}),
        ("COPY --exclude=*.py pkg /app", {"/app/sub/c.py": "pkg/sub/c.py"}),
        ("COPY --exclude=**/*.py . /app", {"/app/requirements.txt": "requirements.txt"}),
    ],
)
def test_wildcards_and_exclusions(text: str, expected: dict[str, str]) -> None:
    assert _layout(f"FROM python:3.11\n{text}\n") == expected
    assert _doubts(text) == {}


def test_a_wildcard_in_another_stage() -> None:
    text = "FROM python:3.11 AS b\nCOPY . /src\nFROM python:3.11\nCOPY --from=b /src/*.py /app/\n"

    assert _layout(text) == {"/app/a.py": "a.py"}


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("COPY $SRC /app/", set(_FILES)),
        ("COPY pkg/$NAME.py /app/", {"pkg/b.py"}),
        ("COPY pkg $HOME/pkg", {"pkg/b.py", "pkg/sub/c.py"}),
        ("WORKDIR $HOME\nCOPY pkg .", {"pkg/b.py", "pkg/sub/c.py"}),
        ("COPY --parents pkg /app/", {"pkg/b.py", "pkg/sub/c.py"}),
        ("COPY pkg /app\nCOPY $SRC /else/", {*_FILES} - {"pkg/b.py", "pkg/sub/c.py"}),
        ("COPY . /app\nRUN rm /app/a.py", {"a.py"}),
        ("COPY . /app\nRUN cd /app && rm -rf ./pkg", {"pkg/b.py", "pkg/sub/c.py"}),
        ("COPY . /app\nRUN rm -rf /app/pkg/*", {"pkg/b.py", "pkg/sub/c.py"}),
        ("COPY . /app\nRUN bash -c 'rm -rf /app/$X.py'", {"a.py", "pkg/b.py", "pkg/sub/c.py", "src/d.py", "backend/e.py"}),
        ("COPY . /app\nRUN mv /app/pkg /opt/pkg", {"pkg/b.py", "pkg/sub/c.py"}),
        ('COPY . /app\nRUN ["rm", "/app/a.py"]', {"a.py"}),
        ("COPY . /app\nRUN find /app -name 'd*' -delete", {"src/d.py"}),
        ("COPY . /app\nRUN find . -type f | xargs rm", set(_FILES)),
        ("COPY . /app\nRUN ./strip.sh", set(_FILES)),
        ("COPY . /app\nRUN <<EOF\nset -e\nrm /app/a.py\nEOF", {"a.py"}),
        ("RUN --mount=type=bind,target=/src cp -r /src/pkg /app", set(_FILES)),
        ("RUN --mount=source=pkg,target=/src cp -r /src /app", {"pkg/b.py", "pkg/sub/c.py"}),
    ],
)  # fmt: skip
def test_what_a_dockerfile_leaves_open(text: str, paths: set[str]) -> None:
    assert set(_doubts(text)) == paths


@pytest.mark.parametrize(
    "text",
    [
        "COPY . /app\nRUN pip install -r /app/requirements.txt && rm -rf /root/.cache /var/lib/apt/lists/* /tmp/*",
        "RUN rm -rf /app\nCOPY . /app",
        "COPY . /app\nRUN rm /app/a.py\nCOPY a.py /app/",
        "COPY . /app\nRUN find / -type d -name __pycache__ -exec rm -rf {} +",
        "COPY . /app\nRUN find /app -name '*.sh' | sort",
        "COPY . /app\nRUN apt-get install -y git make && python -m compileall .",
        "RUN --mount=type=bind,source=requirements.txt,target=r.txt pip install -r r.txt",
        "RUN --mount=type=cache,target=/root/.cache cp -r /a /b",
        "RUN --mount=from=other,target=/src cp -r /src /app",
        "COPY --from=somewhere/else $X /app/",
    ],
)
def test_what_leaves_nothing_open(text: str) -> None:
    assert _doubts(text) == {}


def test_doubts_go_through_the_stages() -> None:
    text = (
        "FROM python:3.11 AS b\nCOPY . /src\nRUN rm /src/a.py /src/pkg/b.py\nCOPY $X /src/\n"
        "FROM b AS c\nFROM python:3.11\nCOPY --from=c /src/pkg /app/pkg\n"
    )

    found = image_layout.follow_dockerfile(text.encode(), {}, "", "", [*_FILES, "late.py"])

    assert set(found.doubts) == {"pkg/b.py"}
    assert found.doubts["pkg/b.py"] == "RUN in line 3 may remove it"
