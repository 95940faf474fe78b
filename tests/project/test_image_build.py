"""Where a Dockerfile puts what, and what is told from paths alone."""

from __future__ import annotations

import subprocess

import pytest

from buildguard.check import image_promise
from buildguard.engines.engine import EngineName, ReadyEngine
from buildguard.project import dockerfile, image_match, run_commands, run_effects
from buildguard.project.image_build import BuildInput, build_model
from buildguard.project.image_model import DEFAULT_PATH, FileOrigin, ImageModel
from buildguard.project.image_stage_state import StageState
from buildguard.project.proof_grade import ProofGrade
from buildguard.project.target import PythonVersion, Target

_FILES = ["a.py", "pkg/b.py", "pkg/sub/c.py", "src/d.py", "backend/e.py", "requirements.txt"]


def _layout(text: str, context: str = "", **arguments: str) -> dict[str, str]:
    return build_model(BuildInput(text.encode(), _FILES, context, arguments)).twins


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("COPY a.py /app/", {"/app/a.py": "a.py"}),
        ("COPY a.py /app", {"/app": "a.py"}),
        ("COPY a.py /tmp", {"/tmp/a.py": "a.py"}),  # a folder that every base image has
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


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ARG G=/g\nFROM scratch\nARG G\nCOPY a.py $G/", "/g/a.py"),
        ("ARG G=/g\nFROM scratch\nARG G=/own\nCOPY a.py $G/", "/own/a.py"),
        ("ARG G=/g\nFROM scratch\nCOPY a.py $G/", ""),
        ("FROM scratch AS base\nONBUILD ENV A=/o\nONBUILD COPY a.py $A/\nFROM base AS on\nFROM on\n", "/o/a.py"),
        ("FROM scratch AS base\nONBUILD COPY a.py /o/\nFROM scratch\nCOPY a.py /b/\n", "/b/a.py"),
        ("FROM scratch\nARG D\nCOPY a.py $D/", "/given/a.py"),
        ("FROM scratch AS base\nARG A=/a\nFROM base\nCOPY a.py $A/", "/a/a.py"),
        ("FROM scratch AS base\nARG A=/a\nFROM scratch\nCOPY a.py $A/", ""),
    ],
)
def test_which_arguments_a_stage_has(text: str, place: str) -> None:
    """As BuildKit has it."""
    assert [*_layout(text, D="/given")] == ([place] if place else [])


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

    found = build_model(BuildInput(text, _FILES))

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
    found = image_match.find_best_match(paths, _FILES[:-1], {"", "pkg"})

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
    return dict(build_model(BuildInput(f"FROM python:3.11\n{text}\n".encode(), _FILES)).doubts)


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
        ("COPY . /app\nRUN rm /app/a.py", set()),
        ("COPY . /app\nRUN cd /app && rm -rf ./pkg", set()),
        ("COPY . /app\nRUN rm -rf /app/$DIR/*.py", {"pkg/b.py", "pkg/sub/c.py", "src/d.py", "backend/e.py"}),
        ("COPY . /app\nRUN test -e x || rm -rf /app/pkg", {"pkg/b.py", "pkg/sub/c.py"}),
        ("COPY . /app\nRUN if [ -e x ]; then mv /app/a.py /b.py; fi", {"a.py"}),
        ("COPY . /app\nRUN bash -c 'rm -rf /app/$X.py'", {"a.py", "pkg/b.py", "pkg/sub/c.py", "src/d.py", "backend/e.py"}),
        ("COPY . /app\nRUN mv /app/pkg /opt/pkg", set()),
        ('COPY . /app\nRUN ["rm", "/app/a.py"]', set()),
        ("COPY . /app\nRUN find /app -name 'd*' -delete", {"src/d.py"}),
        ("COPY . /app\nRUN find . -type f | xargs rm", set(_FILES)),
        ("COPY . /app\nRUN ./strip.sh", set(_FILES)),
        ("COPY . /app\nRUN <<EOF\nset -e\nrm /app/a.py\nEOF", set()),
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

    found = build_model(BuildInput(text.encode(), [*_FILES, "late.py"]))

    assert set(found.doubts) == {"a.py", "pkg/b.py"}
    assert found.doubts["pkg/b.py"] == "the value of $X in COPY in line 4 is unknown"


_TREE = [*_FILES, "run.sh", "docker/rootfs/etc/x.conf", "docker/rootfs/app/start.sh"]


def _model(text: str, **modes: int) -> ImageModel:
    return build_model(BuildInput(f"FROM python:3.11\n{text}\n".encode(), _TREE, modes=modes))


@pytest.mark.parametrize(
    ("text", "place", "source", "mode"),
    [
        ("WORKDIR /app\nCOPY a.py /app", "/app/a.py", "a.py", None),
        ("COPY --chmod=755 run.sh /x", "/x", "run.sh", 0o755),
        ("COPY run.sh /x\nRUN chmod +x /x", "/x", "run.sh", 0o755),
        ("COPY run.sh /x\nRUN chmod 0700 /x", "/x", "run.sh", 0o700),
        ("COPY . /app\nRUN cd /app && chmod -R u+x pkg", "/app/pkg/sub/c.py", "pkg/sub/c.py", 0o744),
        ("COPY . /app\nRUN chmod 755 /app/*.py", "/app/a.py", "a.py", 0o755),
        ("COPY a.py /x/\nRUN mv /x/a.py /x/b.py", "/x/b.py", "a.py", None),
        ("COPY . /s\nRUN mkdir -p /app && cp -r /s/pkg /app/", "/app/pkg/sub/c.py", "pkg/sub/c.py", None),
        ("COPY . /s\nRUN mkdir /app && cp -r /s/pkg/. /app", "/app/sub/c.py", "pkg/sub/c.py", None),
        ("COPY pkg /pkg\nRUN ln -s /pkg /app", "/app/sub/c.py", "pkg/sub/c.py", None),
        ("COPY run.sh /run.sh\nRUN ln -s ../run.sh /bin/go", "/bin/go", "run.sh", None),
        ("COPY docker/rootfs /", "/app/start.sh", "docker/rootfs/app/start.sh", None),
        (
            "WORKDIR /app\nCOPY . .\nRUN pip install . && apt-get update && useradd x && chown -R x .",
            "/app/a.py",
            "a.py",
            None,
        ),
    ],
)
def test_where_a_file_is(text: str, place: str, source: str, mode: int | None) -> None:
    file = _model(text).file(place)

    assert file is not None
    assert (file.source, file.mode, file.doubt) == (source, mode, "")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("COPY . /app\nRUN sed -i s/x/y/ /app/a.py", "/app/a.py"),
        ("COPY . /app\nRUN find /app -name '*.sh' -exec dos2unix {} +", "/app/run.sh"),
        ("WORKDIR /app\nCOPY . .\nRUN make", "/app/gone.py"),
        ("WORKDIR /app\nCOPY . .\nRUN python manage.py collectstatic", "/app/static/x"),
        ("WORKDIR /app\nCOPY . .\nRUN curl -o /y/z.sh https://x", "/y/z.sh"),
        ("WORKDIR /app\nCOPY . .\nRUN pip install --target /lib2 x", "/lib2/x.py"),
        ("WORKDIR /app\nADD https://x/y.py .", "/app/y.py"),
        ("COPY --from=ghcr.io/astral-sh/uv:1 /uv /bin/", "/bin/uv"),
        ("WORKDIR /app\nRUN --mount=type=bind,target=/s cp -r /s/pkg .", "/app/pkg/b.py"),
        ("WORKDIR /app\nRUN echo x > conf.py", "/app/conf.py"),
        ("COPY --chmod=u+x run.sh /x", "/x"),
        ("COPY a.py /a.py", "/usr/bin/gunicorn"),
        ("WORKDIR /app\nADD code.tar.gz /app/", "/app/x/y.py"),
        ("WORKDIR /app\nADD code.tar.gz .", "/app/y.py"),
        ("WORKDIR /app\nCOPY --from=acme/front /dist ./", "/app/y.html"),
        ("WORKDIR /app\nADD https://github.com/x/y.git ./", "/app/y.py"),
        ("RUN poetry export -o /r.txt\nFROM python:3.11\nWORKDIR /app\nCOPY --from=0 /r.txt .", "/app/r.txt"),
        ("RUN uv export -o /d/r.txt\nFROM python:3.11\nWORKDIR /app\nCOPY --from=0 /d ./d", "/app/d/r.txt"),
        ("RUN pip wheel -w /w x\nFROM python:3.11\nWORKDIR /app\nCOPY --from=0 /w ./w", "/app/w/x.whl"),
        ("RUN pip install x\nFROM python:3.11\nCOPY --from=0 /usr/local/bin /usr/local/bin", "/usr/local/bin/x"),
    ],
)
def test_what_is_unknown_is_no_finding(text: str, place: str) -> None:
    assert _model(text).why_unknown(place)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("WORKDIR /app\nCOPY . .", "/app/gone.py"),
        ("WORKDIR /app\nCOPY pkg pkg\nRUN pip install -r requirements.txt", "/app/a.py"),
        ("WORKDIR /app\nCOPY . .\nRUN rm -rf pkg", "/app/pkg/b.py"),
        ("WORKDIR /w\nRUN make\nWORKDIR /app\nCOPY . .", "/app/gone.py"),
        ("RUN curl x | bash\nWORKDIR /app\nCOPY . .", "/app/gone.py"),
        ("COPY pkg /p\nFROM python:3.11\nWORKDIR /app\nCOPY --from=0 /p .", "/app/gone.py"),
        ("WORKDIR /p\nFROM python:3.11\nWORKDIR /app\nCOPY --from=0 /p .", "/app/gone.py"),
        ("WORKDIR /app\nCOPY --from=ghcr.io/astral-sh/uv:1 /uv /bin/", "/app/uv"),
        ("WORKDIR /app\nCOPY --from=acme/x /x/y.py ./", "/app/gone.py"),
    ],
)
def test_what_is_absent_for_certain(text: str, place: str) -> None:
    model = _model(text)

    assert model.file(place) is None
    assert model.why_unknown(place) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('CMD ["python", "a.py"]', ("python", "a.py")),
        ("CMD python a.py", ("/bin/sh", "-c", "python a.py")),
        ('ENTRYPOINT ["run"]\nCMD ["x"]', ("run", "x")),
        ('CMD ["x"]\nENTRYPOINT ["run"]', ("run", "x")),
        ('ENTRYPOINT run\nCMD ["x"]', ("/bin/sh", "-c", "run")),
        ('SHELL ["/bin/bash", "-c"]\nCMD run', ("/bin/bash", "-c", "run")),
        ("", ()),
    ],
)
def test_the_start_command(text: str, words: tuple[str, ...]) -> None:
    assert _model(text).command == words


def test_what_a_stage_hands_on() -> None:
    text = (
        'ENV A=1\nENV PATH=/v/bin:$PATH\nUSER x\nEXPOSE 8080 9090/udp\nCMD ["x"]\nONBUILD COPY a.py /app/\n'
        'FROM b\nENTRYPOINT ["run"]\nCOPY <<EOF /conf.py\nx = 1\nEOF\nCOPY gone.py /x\nCOPY nothing*.py /x/'
    )

    model = build_model(BuildInput(f"FROM python:3.11 AS b\n{text}\n".encode(), _TREE))

    assert model.env == {"A": "1", "PATH": f"/v/bin:{DEFAULT_PATH}"}
    assert model.search_path[:2] == ("/v/bin", "/usr/local/sbin")
    assert (model.user, model.ports, model.command) == ("x", ("8080", "9090/udp"), ("run",))
    assert model.twins == {"/app/a.py": "a.py"}
    assert (model.files["/conf.py"].origin, model.files["/conf.py"].content) == (FileOrigin.WRITTEN, b"x = 1\n")
    assert [(gap.source, gap.is_pattern) for gap in model.missing] == [("gone.py", False), ("nothing*.py", True)]


def test_a_folder_copied_onto_the_root_is_not_the_project() -> None:
    assert _model("COPY docker/rootfs /\nCOPY run.sh /usr/bin/").roots == ("/app", "/etc/x.conf", "/usr/bin/run.sh")


def test_the_modes_of_the_sender() -> None:
    model = build_model(BuildInput(b"FROM python:3.11\nCOPY run.sh /\n", _TREE, modes={"run.sh": 0o644}))

    assert model.files["/run.sh"].mode == 0o644


def test_a_base_image_that_is_not_known_leaves_its_working_folder_open() -> None:
    model = build_model(BuildInput(b"FROM acme/python:3.11\nCOPY a.py .\nCOPY pkg /app\n", _TREE))

    assert model.twins == {"/app/b.py": "pkg/b.py", "/app/sub/c.py": "pkg/sub/c.py"}
    assert "working folder" in model.doubts["a.py"]
    assert model.why_unknown("/app/x.py")
    assert not model.knows_base


def test_commands_are_split_as_a_shell_does() -> None:
    commands = list(run_commands.split("a 'b c' && d > e.txt; if f; then g; fi || h"))

    assert [(command.words[-1], command.is_certain) for command in commands] == [
        ("b c", True),
        ("d", True),
        ("f", False),
        ("g", False),
        ("fi", True),
        ("h", False),
    ]
    assert commands[1].outputs == ("e.txt",)


_SHOW = r"""show() { for word; do printf '%s\0' "$word"; done; printf '\1'; }; """


@pytest.mark.interpreters
@pytest.mark.parametrize(
    "text",
    [
        "show --gecos '' app && show after",
        'show "" "" x; show',
        "show ';' '&&' \"|\" a | cat; show next",
        "show -exec a {} \\; -print && show y",
        'show "it\'s; fine" && show \'a"b\' ; show c "d"',
        "show a\\;b \\&\\& c",
        'show \\"a \\"b && show c',
        "show -d '|' -f '<' '(x)' && show '>' a",
    ],
)
def test_the_words_of_a_command_are_those_of_a_real_shell(text: str) -> None:
    ran = subprocess.run(["sh", "-c", _SHOW + text], capture_output=True, text=True, check=True).stdout
    real = [tuple(words.split("\0")[:-1]) for words in ran.split("\1")[:-1]]

    assert [item.words[1:] for item in run_commands.split(text) if item.words[0] == "show"] == real


def test_a_user_without_a_comment_leaves_the_project_known() -> None:
    """`--gecos ""` ended the command, and what followed counted as a program that may write anywhere."""
    state = StageState()

    run_effects.apply('adduser --gecos "" --shell /bin/sh app', state, 3)
    assert not state.unknown
    run_effects.apply("unheard-of --shell /bin/sh", state, 4)
    assert state.unknown


def test_a_stage_begins_with_what_is_below_it() -> None:
    below = StageState()
    below.link("/a", "/b", 1)
    above = StageState(below)
    above.remove("/b")

    assert list(below.files) == ["/b"]
    assert not above.files
