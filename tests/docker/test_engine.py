"""The container engine against real images: verdicts, odd interpreters, and the lock on what runs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from buildguard.engines import container
from buildguard.engines.container import ContainerEngine, ImageRequest
from buildguard.engines.engine import ReadyEngine, UnavailableEngine
from buildguard.engines.interpreter import InterpreterEngine
from buildguard.engines.pool import source_of
from buildguard.engines.worker import ProbeLimits
from buildguard.errors import UnprovenError
from buildguard.project.target import PythonVersion
from buildguard.system.cache import Cache
from tests import images
from tests.conftest import BROKEN_BEFORE_312, CASES, answers, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from buildguard.engines.engine import Outcome
    from tests.conftest import Project

_LINKS = "RUN ln -s /usr/local/bin/python3 /opt/venv/bin/python && ln -s python /opt/venv/bin/python3"
_UNDER_ROOT = (
    "RUN mkdir -p /root/py && cp -r /usr/local/* /root/py/ && rm -rf /usr/local/bin /usr/local/lib"
    " && /bin/busybox chmod 700 /root"
)

pytestmark = pytest.mark.usefixtures("spotless")


def _ready(reference: str, **kwargs: object) -> tuple[ContainerEngine, ReadyEngine]:
    made = ContainerEngine(ImageRequest(reference), 2, Cache(None), **kwargs)  # type: ignore[arg-type]
    answer = made.prepare()
    assert isinstance(answer, ReadyEngine), answer
    return made, answer


def _container_of(made: ContainerEngine) -> dict[str, Any]:
    """The running container of an engine in this process."""
    assert made.image is not None
    running = images.api().containers(filters={"label": "buildguard.owner"})
    (found,) = (one for one in running if one["ImageID"] == made.image.id and str(os.getpid()) in str(one["Labels"]))
    return dict(found)


def _outcomes(reference: str, sources: Sequence[bytes], **kwargs: object) -> list[Outcome]:
    made, _answer = _ready(reference, **kwargs)
    try:
        return answers(made.compile, sources)
    finally:
        made.close()


def test_verdicts_are_the_interpreters(engine: str, version: str) -> None:
    sources = [file.read_bytes() for file in sorted((CASES / "syntax").rglob("*")) if file.is_file()]
    assert len(sources) > 100
    made, answer = _ready(images.base(version))
    local = InterpreterEngine(PythonVersion(int(version[2:])), Path("/nowhere"), 2)
    expected = local.prepare()
    assert isinstance(expected, ReadyEngine)
    try:
        found = [answers(one.compile, sources) for one in (made, local)]
    finally:
        made.close()
        local.close()

    assert answer.interpreter == expected.interpreter
    assert answer.image_id.startswith("sha256:")
    assert found[0] == found[1]
    assert {one.rejected is None for one in found[0]} == {True, False}


def test_a_crash_of_the_compiler_costs_one_file(engine: str) -> None:
    chain = b"x = " + b"a+" * 20000 + b"a\n"

    found = _outcomes(images.base("3.11"), [b"x = 1\n", chain, b"f(\n"] * 5)

    assert [one.rejected is not None and one.rejected.crashed for one in found] == [False, True, False] * 5
    assert [one.rejected is not None for one in found] == [False, True, True] * 5


def test_a_large_source(engine: str) -> None:
    big = b"x = '" + b"a" * 30_000_000 + b"'\n"

    assert [one.rejected is None for one in _outcomes(images.base("3.12"), [big, b"f(\n", big])] == [True, False, True]


# ------------------------------------------------------------------------------------------ odd images


def test_an_image_without_a_shell(engine: str) -> None:
    """Like distroless: no shell, no PATH of its own, the interpreter named by the entrypoint."""
    tag = images.assemble(
        f"{images.REPOSITORY}/distroless:nonroot",
        "3.11",
        prefix="usr",
        shell=False,
        changes=['ENTRYPOINT ["/usr/bin/python3.11"]'],
    )

    made, answer = _ready(tag)
    made.close()

    assert answer.version.startswith("3.11.")
    assert made.known is not None
    assert made.known.path == "/usr/bin/python3.11"


def test_an_interpreter_in_an_unusual_folder(engine: str) -> None:
    tag = images.assemble(
        f"{images.REPOSITORY}/vendored:1", "3.10", prefix="opt/vendor/py", shell=False, changes=["CMD []"]
    )

    made, answer = _ready(tag)
    made.close()

    assert answer.version.startswith("3.10.")
    assert made.known is not None
    assert made.known.path.startswith("/opt/vendor/py/bin/python")


@pytest.mark.parametrize(
    "instructions",
    [
        ["ENV PATH=/opt/venv/bin:/usr/local/bin"],
        ["ENV VIRTUAL_ENV=/opt/venv", "ENV PATH=/nothing", "CMD []"],
        ['CMD ["/opt/venv/bin/python", "-m", "app"]'],
        ['ENTRYPOINT ["/opt/venv/bin/serve"]'],
        ['ENTRYPOINT ["tini", "--"]', 'CMD ["/opt/venv/bin/serve"]'],
        ["CMD exec /opt/venv/bin/python -m app"],
    ],
)
def test_a_virtual_environment_as_the_interpreter(image: Callable[..., str], instructions: list[str]) -> None:
    parent = images.base("3.12")
    files = {
        "opt/venv/pyvenv.cfg": "home = /usr/local/bin\n",
        "opt/venv/bin/serve": "#!/opt/venv/bin/python\nprint()\n",
        "bin/tini": "#!/bin/sh\n",
    }
    tag = image(parent, files, [_LINKS, *instructions])

    made, answer = _ready(tag)
    made.close()

    assert answer.version.startswith("3.12.")
    assert made.known is not None
    assert made.known.path in {"/opt/venv/bin/python", "/opt/venv/bin/python3"}


def test_an_interpreter_that_only_root_may_run(image: Callable[..., str]) -> None:
    tag = image(
        images.base("3.11"),
        {},
        [_UNDER_ROOT, "ENV PATH=/root/py/bin:/bin"],
    )

    made, answer = _ready(tag)
    made.close()

    assert answer.version.startswith("3.11.")
    assert made.known is not None
    assert made.known.user == "0:0"


def test_a_minimal_interpreter(image: Callable[..., str]) -> None:
    """Like Debian's python3-minimal: neither json nor hashlib, resource, zlib or subprocess."""
    # all extension modules but `select` and its neighbours: Debian has that one in its interpreter
    extensions = "lib-dynload/[!s]*"
    lacking = ("json", "hashlib.py", "subprocess.py", extensions, "zipfile*", "socket.py", "threading.py")
    removed = " ".join(f"/usr/local/lib/python3.10/{name}" for name in lacking)
    tag = image(images.base("3.10"), {}, [f"RUN rm -rf {removed}"])

    outcomes = _outcomes(tag, [b"x = 1\n", b"f(\n"])

    assert [one.rejected is None for one in outcomes] == [True, False]


def test_debians_minimal_python(engine: str, tmp_path: Path) -> None:
    """The real python3-minimal, which has no json."""
    tag = images.debian_minimal(tmp_path)

    outcomes = _outcomes(tag, [b"x = 1\n", b"f(\n", b"f'{1!r}'\n"])

    assert [one.rejected is None for one in outcomes] == [True, False, True]


def test_nothing_of_the_image_runs(image: Callable[..., str]) -> None:
    """Neither its entrypoint nor its health check, sitecustomize, PYTHONSTARTUP or what is beside the interpreter."""
    mark = "import os\nos.write(1, b'MARK'); os.write(2, b'MARK'); raise SystemExit('MARK')\n"
    lib = "usr/local/lib/python3.12"
    tag = image(
        images.base("3.12"),
        {
            "mark.sh": "#!/bin/sh\necho MARK; echo MARK >&2; exit 9\n",
            f"{lib}/site-packages/sitecustomize.py": mark,
            f"{lib}/site-packages/usercustomize.py": mark,
            f"{lib}/site-packages/evil.pth": "import os; os._exit(9)\n",
            "evil/select.py": mark,
            "evil/startup.py": mark,
            "select.py": mark,
        },
        [
            'ENTRYPOINT ["/mark.sh"]',
            'CMD ["MARK"]',
            "HEALTHCHECK --interval=1s CMD /mark.sh",
            "ENV PYTHONPATH=/evil PYTHONSTARTUP=/evil/startup.py PYTHONINSPECT=1",
            "WORKDIR /evil",
        ],
    )

    made, _answer = _ready(tag)
    slow = b"x = '" + b"a" * 1000 + b"'\n"
    try:
        outcomes = list(made.compile(iter([source_of(at, slow) for at in range(100)])))
        time.sleep(1.5)  # a health check would have come
        outcomes += made.compile(iter([source_of(0, b"f(\n")]))
        inspected = _container_of(made)
        state = images.api().inspect_container(inspected["Id"])
    finally:
        made.close()

    assert len(outcomes) == 101
    assert "Health" not in state["State"]
    assert state["Path"] == "/usr/local/bin/python"


def test_what_runs_is_locked_down(engine: str) -> None:
    """Asked of the engine, and of the kernel from inside."""
    made, _answer = _ready(images.base("3.11"))
    try:
        list(made.compile(iter([source_of(0, b"x = 1\n")])))
        api = images.api()
        found = _container_of(made)
        state = api.inspect_container(found["Id"])
        asked = api.exec_create(found["Id"], ["cat", "/proc/1/status"])
        status = dict(
            line.split(":\t", 1) for line in api.exec_start(asked["Id"]).decode().splitlines() if ":\t" in line
        )
        written = api.exec_start(api.exec_create(found["Id"], ["touch", "/x", "/usr/local/x"])["Id"]).decode()
        network = api.exec_start(api.exec_create(found["Id"], ["ls", "/sys/class/net"])["Id"]).decode().split()
    finally:
        made.close()

    host = state["HostConfig"]
    assert (host["NetworkMode"], host["ReadonlyRootfs"], host["CapDrop"]) == ("none", True, ["ALL"])
    assert host["Privileged"] is False
    assert not host["Binds"]
    assert host["Memory"] == host["MemorySwap"] > 1 << 30
    assert 0 < host["PidsLimit"] < 100
    assert host["LogConfig"]["Type"] == "none"
    assert status["Uid"].split() == ["65534"] * 4
    assert status["NoNewPrivs"].strip() == "1"
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert written.count("Read-only file system") == 2
    assert network == ["lo"]


def test_alpines_library_is_told(engine: str, project: Callable[..., Project]) -> None:
    """glibc's loader under the name of musl's: what the process has mapped is what tells."""
    binary = interpreter("3.11").resolve().read_bytes()
    real, disguised = b"/lib64/ld-linux-x86-64.so.2\0", b"/lib/ld-musl-x86_64.so.1\0"
    assert binary.count(real) == 1
    loader = Path("/lib64/ld-linux-x86-64.so.2").resolve().read_bytes()
    tag = f"{images.REPOSITORY}/python:3.11-small"
    files = {
        "usr/local/bin/python3.11": binary.replace(real, disguised.ljust(len(real), b"\0")),
        "lib/ld-musl-x86_64.so.1": loader,
    }
    images.derived(tag, images.base("3.11"), files)
    made = project({"Dockerfile": f"FROM {tag}\n", "a.py": "x = 1\n", "b.py": "y = 1\n"})

    result = made.run("check", "--engine", "container")

    assert result.code == 0
    assert result.out.count("musl") == 1
    assert "128 KiB" in result.out


# ------------------------------------------------------------------------------------------ what goes wrong


def _unavailable(reference: str, **kwargs: object) -> UnavailableEngine:
    made = ContainerEngine(ImageRequest(reference), 2, Cache(None), **kwargs)  # type: ignore[arg-type]
    try:
        answer = made.prepare()
    finally:
        made.close()
    assert isinstance(answer, UnavailableEngine)
    return answer


def test_a_python_that_hangs(image: Callable[..., str]) -> None:
    tag = image(images.base("3.11"), {"usr/local/bin/python": "#!/bin/sh\nexec sleep 1000\n"}, ['CMD ["python"]'])

    answer = _unavailable(tag, patience=1.0)

    assert "/usr/local/bin/python" in answer.reason
    assert "did not answer within 1 seconds" in answer.reason


def test_a_python_that_is_something_else(image: Callable[..., str]) -> None:
    tag = image(
        images.base("3.11"),
        {"usr/local/bin/python": "#!/bin/sh\necho hello\n", "usr/local/bin/python3": "#!/bin/sh\nexit 7\n"},
        ["RUN rm /usr/local/bin/python3.11", 'CMD ["sh"]'],
    )

    answer = _unavailable(tag)

    assert "none of its Pythons answers" in answer.reason
    assert "/usr/local/bin/python:" in answer.reason


def test_another_python_is_no_proof_for_the_one_that_starts(image: Callable[..., str]) -> None:
    """The command's Python cannot run, and the image has one that can: what that accepts is not what happens."""
    broken = {"opt/bin/python": "#!/bin/sh\necho libpython3.12.so.1.0: cannot open shared object file >&2\nexit 127\n"}
    tag = image(images.base("3.11"), broken, ["ENV PATH=/opt/bin:/usr/local/bin:/bin", 'CMD ["python", "-m", "app"]'])

    answer = _unavailable(tag)

    assert f"{tag}: its Python does not answer; /opt/bin/python:" in answer.reason


def test_no_python_inside(engine: str) -> None:
    with images.Rootfs() as rootfs:
        tag = rootfs.busybox().become(f"{images.REPOSITORY}/empty:1", ['CMD ["sh"]'])

    assert "there is no Python in it" in _unavailable(tag).reason


def test_a_command_that_is_not_there(image: Callable[..., str]) -> None:
    tag = image(images.base("3.11"), {}, ['CMD ["/opt/venv/bin/python"]'])

    assert "runs /opt/venv/bin/python, which it does not have" in _unavailable(tag).reason


def test_an_image_for_another_machine(image: Callable[..., str]) -> None:
    tag = images.foreign(image(images.base("3.11")), "arm64")

    answer = _unavailable(tag)

    assert "is for linux/arm64 here, and linux/amd64 is what will run it" in answer.reason
    assert f"docker pull --platform linux/amd64 {tag}" in answer.hint


def test_its_memory_limit_ends_a_container(engine: str) -> None:
    """One file's compiler takes all there is: the kernel ends it, and no one calls that a verdict."""
    greedy = b"x = (" + b"'a', " * 3_000_000 + b")\n"

    found = _outcomes(
        images.base("3.11"), [greedy, b"x = 1\n", b"f(\n"], limits=ProbeLimits(memory=150 << 20, seconds=60)
    )

    assert "memory" in found[0].unproven
    assert [one.unproven for one in found[1:]] == ["", ""]
    assert [one.rejected is None for one in found[1:]] == [True, False]


def test_the_kernel_ends_what_takes_too_much(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under a limit of the container that is below each process's own: killed for real, and unproven."""
    monkeypatch.setattr(container, "_ROOM", (60 << 20) - ProbeLimits().wider().memory)
    greedy = b"x = (" + b"'a', " * 3_000_000 + b")\n"

    try:
        words = _outcomes(images.base("3.11"), [greedy])[0].unproven
    except UnprovenError as error:  # where the kernel chose the relay, and with it the container
        words = error.what

    assert "killed" in words
    assert "memory" in words


def test_a_cached_run_starts_no_container(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.11"), {"unique": str(time.time())})
    made = project({"Dockerfile": f"FROM {tag}\n", "a.py": "x = 1\n", "bad.py": BROKEN_BEFORE_312})
    begun = int(time.time()) - 1

    def containers() -> int:
        """How many were made of this image so far."""
        filters = {"type": "container", "event": "create"}
        names = {tag, images.api().inspect_image(tag)["Id"]}
        events = images.api().events(since=begun, until=int(time.time()) + 1, filters=filters, decode=True)
        return sum(one["Actor"]["Attributes"]["image"] in names for one in events)

    arguments = ("--engine", "container", "--target", "3.11", "--image", tag)
    first = made.check(*arguments).json
    after_first = containers()
    second = made.check(*arguments).json

    assert after_first > 0
    assert containers() == after_first
    assert first["diagnostics"] == second["diagnostics"]
    assert [row["cached"] for row in (*first["targets"], *second["targets"])] == [0, 2]
    assert second["targets"][0]["image_id"] == images.api().inspect_image(tag)["Id"]


def test_an_interpreter_that_changes_its_tale(engine: str, tmp_path: Path) -> None:
    """What is known of an image from an earlier run has to be said again before it judges anything."""
    cache = Cache(tmp_path / "cache")
    first = ContainerEngine(ImageRequest(images.base("3.11")), 1, cache)
    assert isinstance(first.prepare(), ReadyEngine)
    first.close()
    known = first.known
    assert known is not None
    first._remember(known._replace(greeting=known.greeting._replace(banner="3.11.2 (another build)")))
    second = ContainerEngine(ImageRequest(images.base("3.11")), 1, cache)
    try:
        assert isinstance(second.prepare(), ReadyEngine)
        with pytest.raises(UnprovenError, match="not the one that it was"):
            list(second.compile(iter([source_of(0, b"x = 1\n")])))
    finally:
        second.close()
        cache.close()


def test_an_image_that_moved_is_asked_again(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """The same tag over another interpreter: nothing of what was known of the first one counts."""
    tag = image(images.base("3.11"))
    made = project({"Dockerfile": f"FROM {tag}\n", "bad.py": BROKEN_BEFORE_312})
    arguments = ("--engine", "container", "--target", "3.11", "--image", tag)
    before = made.check(*arguments)

    images.derived(tag, images.base("3.12"), {})
    after = made.check(*arguments)

    assert (before.json["targets"][0]["cached"], after.json["targets"][0]["cached"]) == (0, 0)
    assert set(before.codes()) == {"bad.py"}
    assert [one["code"] for one in after.json["diagnostics"]] == ["BG402"]
