"""The image stage: where a project is in an image, what else is there, and what runs instead of it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests import images
from tests.conftest import BROKEN_BEFORE_312, missing, sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.conftest import Project

pytestmark = pytest.mark.usefixtures("spotless")

_SITE = "usr/local/lib/python3.11/site-packages"


def _dockerfile(*lines: str) -> str:
    return "\n".join([f"FROM {images.base('3.11')}", *lines]) + "\n"


def _inside(files: Mapping[str, str | bytes], root: str) -> dict[str, str | bytes]:
    return {f"{root.strip('/')}/{name}": text for name, text in files.items()}


_PROJECT = {"main.py": "import pkg\n", "pkg/__init__.py": "", "pkg/bad.py": BROKEN_BEFORE_312, "README.md": "x\n"}


def _image_of(report: dict[str, Any]) -> dict[str, Any]:
    return dict(report["image"])


# ------------------------------------------------------------------------------------------ where it lies


@pytest.mark.parametrize(
    ("lines", "root"),
    [
        (["WORKDIR /app", "COPY . ."], "/app"),
        (["ENV HOME_OF=/srv/deep/place", "WORKDIR $HOME_OF", "COPY . ./"], "/srv/deep/place"),
        (["COPY --chown=65534 . /code/"], "/code"),
        (['COPY ["main.py", "/app/"]', "COPY pkg /app/pkg"], "/app"),
    ],
)
def test_the_dockerfile_says_where(
    image: Callable[..., str], project: Callable[..., Project], lines: list[str], root: str
) -> None:
    tag = image(images.base("3.11"), _inside({**_PROJECT, "generated.py": "v = 1\n"}, root))
    made = project({"Dockerfile": _dockerfile(*lines), **_PROJECT})

    result = made.check(f"image:{tag}")
    found = _image_of(result.json)

    assert result.code == 1
    assert result.codes() == {"pkg/bad.py": ["BG101"]}
    assert (found["roots"], found["told_by"]) == ([root], "Dockerfile")
    assert found["generated"] == ["generated.py"]
    assert found["changed"] == []
    assert result.json["targets"][0]["proof"] == "image"
    assert result.json["targets"][0]["image_id"] == found["id"]
    assert result.json["summary"]["files"] == 4


def test_a_source_folder_under_another_name(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """COPY src/ /app/: the finding has the path that people know."""
    tag = image(images.base("3.11"), {"app/bad.py": BROKEN_BEFORE_312, "app/new.py": ""})
    made = project({"Dockerfile": _dockerfile("WORKDIR /app", "COPY src/ ."), "src/bad.py": BROKEN_BEFORE_312})

    result = made.check(f"image:{tag}")

    assert result.codes() == {"src/bad.py": ["BG101"]}
    assert _image_of(result.json)["generated"] == ["src/new.py"]


def test_through_a_build_stage(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.11"), _inside(_PROJECT, "/opt/run"))
    base = images.base("3.11")
    text = f"FROM {base} AS build\nWORKDIR /src\nCOPY . .\nRUN true\nFROM {base}\nCOPY --from=build /src /opt/run\n"
    made = project({"Dockerfile": text, **_PROJECT})

    result = made.check(f"image:{tag}")

    assert result.codes() == {"pkg/bad.py": ["BG101"]}
    assert _image_of(result.json)["roots"] == ["/opt/run"]


def test_the_best_match_of_paths(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """No Dockerfile tells, and the project is in an unusual folder."""
    tag = image(images.base("3.11"), {**_inside(_PROJECT, "/data/x/y"), f"{_SITE}/other/main.py": ""})
    made = project({".python-version": "3.11\n", **_PROJECT})

    result = made.check(f"image:{tag}")
    found = _image_of(result.json)

    assert (found["roots"], found["told_by"]) == (["/data/x/y"], "the best match of paths")
    assert result.codes() == {"pkg/bad.py": ["BG101"]}


def test_two_places_are_not_guessed_between(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.11"), {**_inside(_PROJECT, "/one"), **_inside(_PROJECT, "/two")})
    made = project({".python-version": "3.11\n", **_PROJECT})

    result = made.run("check", f"image:{tag}")

    assert result.code == 3
    assert "is unknown" in result.out
    assert "/one" in result.out
    assert "/two" in result.out
    assert f"buildguard check image:{tag}:/app" in result.out
    assert made.check(f"image:{tag}:/two").codes() == {"pkg/bad.py": ["BG101"]}


def test_an_image_of_something_else(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.11"), {"app/entirely.py": "", "app/different.py": ""}, ["WORKDIR /app"])
    made = project({"Dockerfile": _dockerfile("WORKDIR /app", "COPY . ."), **_PROJECT})

    result = made.run("check", f"image:{tag}")

    assert result.code == 3
    assert "no file in it has a path of this project" in result.out


@pytest.mark.parametrize("edit", [True, False])
def test_a_folder_with_nothing_of_the_project_is_unproven(
    image: Callable[..., str], project: Callable[..., Project], *, edit: bool
) -> None:
    """What was compiled there is not what is here: that proves nothing."""
    files = {"src/shop/__init__.py": "", "src/shop/main.py": "x = 1\n"}
    tag = image(images.base("3.11"), {f"{_SITE}/shop/__init__.py": "", f"{_SITE}/shop/main.py": "x = 1\n"})
    made = project({"Dockerfile": _dockerfile("COPY . /src", "RUN pip install /src"), **files})
    made.write({"src/shop/main.py": "x = 2\n"} if edit else {})

    result = made.run("check", f"image:{tag}:/{_SITE}")

    assert result.code == 3
    assert "2 Python files" in result.out
    assert "has a path of this project" in result.out
    assert "run it outside of this one" in " ".join(result.out.split())


def test_without_a_project_its_workdir_counts(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.11"), _inside(_PROJECT, "/app"), ["WORKDIR /app"])
    made = project()

    result = made.check(f"image:{tag}")

    assert result.codes() == {"pkg/bad.py": ["BG101"]}
    assert _image_of(result.json)["told_by"] == "the image's WORKDIR"
    assert _image_of(result.json)["generated"] == []
    assert made.check(f"image:{tag}:/app/pkg/bad.py").codes() == {"bad.py": ["BG101"]}
    assert made.check(f"image:{tag}:/").codes() == {"app/pkg/bad.py": ["BG101"]}
    nowhere = made.run("check", f"image:{image(images.base('3.11'), {'x.py': ''})}")
    assert nowhere.code == 3
    assert "is unknown" in nowhere.out


_SHOP = {"pyproject.toml": '[project]\nname = "shop"\n', "src/shop/__init__.py": "", "src/shop/main.py": "x = 1\n"}


def test_a_project_that_was_installed_is_compared_by_content(
    image: Callable[..., str], project: Callable[..., Project]
) -> None:
    record = "shop/__init__.py,,\nshop/main.py,,\nshop-1.0.dist-info/RECORD,,\n"
    installed = {
        f"{_SITE}/{name.removeprefix('src/')}": text for name, text in _SHOP.items() if name.startswith("src/")
    }
    tag = image(images.base("3.11"), {**installed, f"{_SITE}/shop-1.0.dist-info/RECORD": record})
    made = project({**_SHOP, "Dockerfile": _dockerfile("COPY . /build", "RUN pip install /build && rm -r /build")})

    same = made.check(f"image:{tag}")
    made.write({"src/shop/main.py": "x = 2\n"})
    edited = made.check(f"image:{tag}:/{_SITE}")
    made.write({"src/shop/new.py": ""})
    lacking = made.check(f"image:{tag}")
    (made.path / "src/shop/new.py").unlink()
    made.commit(_SHOP)
    made.write({"src/shop/main.py": "x = 2\n"})
    since = made.check(f"image:{tag}:/{_SITE}")

    assert (same.code, _image_of(same.json)["told_by"], same.json["summary"]["files"]) == (0, "shop-1.0.dist-info", 2)
    assert _image_of(same.json)["changed"] == []
    assert _image_of(edited.json)["changed"] == ["src/shop/main.py"]
    assert (edited.code, edited.codes()) == (1, {"src/shop/main.py": ["BG303"]})
    assert lacking.code == 1
    assert lacking.json["unproven"][0]["path"] == "src/shop/new.py"
    assert (since.code, since.codes()) == (1, {"src/shop/main.py": ["BG303"]})
    assert "is the committed file, and the one here was edited since" in since.json["diagnostics"][0]["message"]


def test_a_source_that_the_image_lacks(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """The commit has two modules, and the image one: it is an older one."""
    tag = image(images.base("3.11"), {"app/main.py": "import more\n"})
    made = project({"Dockerfile": _dockerfile("WORKDIR /app", "COPY . ."), "main.py": "import more\n", "more.py": ""})

    result = made.check(f"image:{tag}")

    assert result.code == 1
    assert result.codes() == {"more.py": ["BG301"]}
    assert "git does not track it" not in result.json["diagnostics"][0]["message"]
    made.commit({})
    made.write({"scratch.py": ""})
    messages = {item["path"]: item["message"] for item in made.check(f"image:{tag}").json["diagnostics"]}
    assert {path: "git does not track it" in text for path, text in messages.items()} == {
        "more.py": False,
        "scratch.py": True,
    }


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("image:", 2, "names no image"),
        ("image:{tag}:/not/there", 3, "there is no /not/there in"),
        ("image:{tag}:app", 2, "a folder begins with a slash"),
        ("image:/tmp/app.tar", 2, "docker load -i /tmp/app.tar"),
        ("image:docker-archive:/tmp/app.tar", 2, "docker load -i /tmp/app.tar"),
        ("image:{tag}:/etc", 3, "no Python source in the project's folder of"),
    ],
)
def test_bad_requests(engine: str, project: Callable[..., Project], text: str, code: int, words: str) -> None:
    result = project().run("check", text.format(tag=images.base("3.11")))

    assert result.code == code
    assert words in result.out + result.err


def test_the_root_of_the_configuration(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.11"), {**_inside(_PROJECT, "/one"), **_inside(_PROJECT, "/two")})
    made = project({"buildguard.toml": 'target = "3.11"\n[deploy]\nroot = "/one"\n', **_PROJECT})

    result = made.check(f"image:{tag}")

    assert _image_of(result.json)["roots"] == ["/one"]
    assert result.codes() == {"pkg/bad.py": ["BG101"]}


# ------------------------------------------------------------------------------------------ what is there


def test_names_links_and_whiteouts(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """Layers that delete and replace, links of both kinds, names that are no UTF-8, a large file, a volume."""
    with images.Rootfs() as rootfs:
        rootfs.add({"app/" + os.fsdecode(b"n\xff\xe9.py"): "f(\n", "app/" + "long" * 60 + ".py": "f(\n"})
        rootfs.add(
            {"app/gone.py": "f(\n", "app/replaced.py": "f(\n", "app/old/x.py": "f(\n", "app/vol/kept.py": "f(\n"}
        )
        rootfs.link("app/hard.py", "app/replaced.py", hard=True).link("app/soft.py", "vol/kept.py")
        rootfs.link("app/out.py", "/etc/secret.py").link("app/circle.py", "circle.py").add({"etc/secret.py": "f(\n"})
        rootfs.add({"app/huge.bin": bytes(20_000_000), "app/script": "#!/usr/bin/env python3\nf(\n"}, mode=0o755)
        rootfs.link("srv", "app")
        base = images.base("3.11")
        layered = rootfs.become(f"{images.REPOSITORY}/odd:1", ["VOLUME /app/vol"])
    tag = image(
        base,
        {},
        [
            f"COPY --from={layered} / /",
            "RUN rm -r /app/gone.py /app/old && echo 'x = 1' > /app/replaced.py",
            "VOLUME /app/vol",
        ],
    )

    result = project().check(f"image:{tag}:/srv")

    rejected = {one["path"] for one in result.json["diagnostics"] if one["code"] == "BG101"}
    assert rejected == {"n\\xff\\xe9.py", "long" * 60 + ".py", "hard.py", "vol/kept.py", "soft.py", "script"}
    unproven = {one["path"]: one["reason"] for one in result.json["unproven"]}
    assert set(unproven) == {"out.py", "circle.py"}
    assert "not followed" in unproven["out.py"]
    assert "circle" in unproven["circle.py"]


@pytest.mark.parametrize(
    ("path", "command", "folder"),
    [
        ("opt/other.py", "python /opt/other.py", "/app"),
        ("opt/main.py", "python main.py", "/opt"),
        ("app/start", "python start", "/app"),
    ],
)
def test_what_the_image_itself_starts_is_compiled(
    image: Callable[..., str], project: Callable[..., Project], path: str, command: str, folder: str
) -> None:
    source = {"main.py": "x = 1\n"}
    lines = ["COPY . /app", "WORKDIR /app", 'CMD ["python", "main.py"]']
    made = project({"Dockerfile": _dockerfile(*lines), **source})
    tag = image(
        images.base("3.11"),
        {**_inside(source, "app"), path: BROKEN_BEFORE_312},
        [f"CMD {command}", f"WORKDIR {folder}"],
    )

    result = made.check(f"image:{tag}")

    if path == "app/start":
        assert (result.code, [item["path"] for item in result.json["unproven"]]) == (3, ["start"])
    else:
        assert (result.code, result.codes()) == (1, {f"/{path}": ["BG101"]})


def test_what_stands_in_for_the_standard_library_is_unproven(
    image: Callable[..., str], project: Callable[..., Project]
) -> None:
    """The Dockerfile copies `app/app`, and the folder above it is the first that an import searches."""
    dockerfile = f'FROM {images.base("3.11")}\nWORKDIR /app\nCOPY app app\nCMD ["python3", "-m", "app.main"]\n'
    made = project({"Dockerfile": dockerfile, "app/__init__.py": "", "app/main.py": "import json\n"})
    files = {"app/app/__init__.py": "", "app/app/main.py": "import json\n"}
    start = ["WORKDIR /app", 'CMD ["python3", "-m", "app.main"]']

    def check(more: dict[str, str], *lines: str) -> Any:
        return made.check(f"image:{image(images.base('3.11'), {**files, **more}, [*start, *lines])}")

    clean, beside = check({}), check({"app/json.py": "x = 1"})
    ahead = check({"other/json.py": "x = 1"}, "ENV PYTHONPATH=/other")
    lost = check({}, 'CMD ["python3", "-m", "app.gone"]')
    copy = {"other/app/__init__.py": "", "other/app/main.py": "import json\n"}
    same = check(copy, "WORKDIR /other")
    other = check({**copy, "other/app/main.py": "import os\n"}, "WORKDIR /other")

    assert clean.code == 0
    assert (beside.code, ahead.code, lost.code) == (3, 3, 3)
    assert beside.json["unproven"][0]["reason"].startswith("/app/json.py: an import of json loads it instead of")
    assert ahead.json["unproven"][0]["reason"].startswith("/other/json.py: an import of json loads it instead of")
    assert "starts the module app.gone, which is missing there" in lost.json["unproven"][0]["reason"]
    assert (same.code, other.code) == (0, 3)
    assert "starts /other/app/main.py, and that is another file than app/main.py" in other.json["unproven"][0]["reason"]


@pytest.mark.parametrize("link", ["/app", "/app/app"])
def test_a_folder_that_became_a_link_is_known_by_its_name(
    image: Callable[..., str], project: Callable[..., Project], link: str
) -> None:
    """The sources that the start imports are the project's, wherever the link leads."""
    if not shutil.which("busybox"):
        missing("busybox", "apt-get install busybox-static")
    sources = {"app/__init__.py": "", "app/main.py": "import json\nfrom app import more\n", "app/more.py": "x = 1\n"}
    start = ["WORKDIR /app", 'CMD ["python3", "-m", "app.main"]']
    made = project({"Dockerfile": "\n".join([f"FROM {images.base('3.11')}", *start, "COPY app app", ""]), **sources})
    lines = [*start, f"RUN /bin/busybox mv {link} /real && /bin/busybox ln -s /real {link}"]

    result = made.check(f"image:{image(images.base('3.11'), _inside(sources, '/app'), lines)}")

    assert (result.code, _image_of(result.json)["roots"]) == (0, ["/app/app"])
    assert _image_of(result.json)["generated"] == []


def test_dependencies_are_told_apart(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """Installers pass code that the image's Python refuses without a word; it is no error of the project's."""
    files = {
        f"{_SITE}/dep/__init__.py": "x = 1\n",
        f"{_SITE}/dep/templates.py": BROKEN_BEFORE_312,
        f"{_SITE}/dep/latin.py": "# caf\xe9\n".encode("latin-1"),
        "app/main.py": "import dep\n",
        "app/.venv/pyvenv.cfg": "home = /usr/local/bin\n",
        "app/.venv/lib/python3.11/site-packages/inner.py": "f(\n",
        "app/.venv/bin/activate_this.py": "f(\n",
        "opt/more/extra.py": "f(\n",
    }
    tag = image(images.base("3.11"), files, ["ENV PYTHONPATH=/opt/more"])
    made = project({"Dockerfile": _dockerfile("COPY . /app"), "main.py": "import dep\n"})

    result = made.check(f"image:{tag}")
    dependencies = _image_of(result.json)["dependencies"]

    assert result.code == 0
    assert result.json["diagnostics"] == []
    assert result.json["targets"][0]["files"] == 1
    assert {one["path"] for one in dependencies["rejected"]} == {
        f"/{_SITE}/dep/templates.py",
        "/app/.venv/lib/python3.11/site-packages/inner.py",
        "/app/.venv/bin/activate_this.py",
        "/opt/more/extra.py",
    }
    assert dependencies["files"] == 6
    assert f"/{_SITE}" in dependencies["folders"]
    text = made.run("check", f"image:{tag}").out
    assert "dependencies: 6 files" in text
    assert "4 refused" in text
    assert f"/{_SITE}/dep/templates.py:1 BG101" in text
    assert made.run("check", f"image:{tag}", "--strict").code == 1


def test_another_python_than_declared(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = image(images.base("3.12"), _inside(_PROJECT, "/app"))
    made = project({"Dockerfile": _dockerfile("COPY . /app"), **_PROJECT})

    (one,) = made.check(f"image:{tag}").json["diagnostics"]

    assert (one["code"], one["path"], one["line"], one["severity"]) == ("BG402", "Dockerfile", 1, "error")
    assert "CPython 3.12." in one["message"]
    assert "Python 3.11" in one["message"]


def test_a_cached_run_says_the_same(image: Callable[..., str], project: Callable[..., Project]) -> None:
    files = {**_inside(_PROJECT, "/app"), f"{_SITE}/dep.py": "f(\n"}
    tag = image(images.base("3.11"), files)
    made = project({"Dockerfile": _dockerfile("COPY . /app"), **_PROJECT})

    first, second = (made.check(f"image:{tag}").json for _ in range(2))

    assert (first["targets"][0]["cached"], second["targets"][0]["cached"]) == (0, 3)
    assert first["diagnostics"] == second["diagnostics"]
    assert first["image"] == second["image"]


# ------------------------------------------------------------------------------------------ bytes, and nothing else


def _buildkit() -> str:
    """A docker command line that can build with BuildKit."""
    for folder in os.environ["PATH"].split(os.pathsep):
        program = os.path.join(folder, "docker")
        if os.access(program, os.X_OK):
            done = subprocess.run(
                [program, "build", "-q", "-"],
                input=b"FROM scratch\nLABEL a=b\n",
                env={**os.environ, "DOCKER_BUILDKIT": "1"},
                capture_output=True,
                check=False,
            )
            if done.returncode == 0:
                return program
    missing("a docker command line with BuildKit", "apt-get install docker.io")
    return ""


def test_what_buildkit_ships_is_seen_by_its_bytes(image: Callable[..., str], project: Callable[..., Project]) -> None:
    """It keeps a file's old content where size and mtime are unchanged, with --no-cache too (moby/buildkit#4817)."""
    program = _buildkit()
    tag = image(images.base("3.11"))
    made = project({"Dockerfile": _dockerfile("COPY . /app"), "a.py": "x = 1\n", "b.py": "y = 1\n"})
    os.utime(made.path / "a.py", (1_700_000_000, 1_700_000_000))

    def build(*arguments: str) -> bytes:
        """Build, and read the file with other means than ours."""
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        subprocess.run(
            [program, "build", "-q", "-t", tag, *arguments, "."],
            cwd=made.path,
            env=environment,
            capture_output=True,
            check=True,
        )
        container = images.api().create_container(tag, ["x"])
        try:
            pieces, _stat = images.api().get_archive(container["Id"], "/app/a.py")
            with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
                return tar.extractfile("a.py").read()  # type: ignore[union-attr]
        finally:
            images.api().remove_container(container["Id"])

    assert build() == b"x = 1\n"
    assert _image_of(made.check(f"image:{tag}").json)["changed"] == []
    made.write({"a.py": "x = 2\n"})
    os.utime(made.path / "a.py", (1_700_000_000, 1_700_000_000))
    shipped = build("--no-cache")
    assert shipped == b"x = 1\n", "BuildKit ships new bytes now: this trap is gone, and the test with it"
    result = made.check(f"image:{tag}")
    assert _image_of(result.json)["changed"] == ["a.py"]
    assert result.codes() == {"a.py": ["BG303"]}
    assert "other bytes than here: 1 file (a.py)" in made.run("check", f"image:{tag}").out
    os.utime(made.path / "a.py")
    assert build() == b"x = 2\n"
    assert _image_of(made.check(f"image:{tag}").json)["changed"] == []


# ------------------------------------------------------------------------------------------ bytecode

_COMPILE = "python3 -m compileall -q /app"


def _bytecode(image: Callable[..., str], version: str, *steps: str) -> str:
    """An image whose bytecode is made by its own Python, in some steps of a shell."""
    keep = 'python3 -c "import os, sys; [os.utime(p, (1700000000, 1700000000)) for p in sys.argv[1:]]" /app/a.py'
    script = " && ".join(step.replace("KEEP", keep) for step in steps)
    return image(images.base(version), {"app/a.py": "x = 1\n", "app/b.py": "y = f'{1!r}'\n"}, [f"RUN {script}"])


_BYTECODE: list[tuple[tuple[str, ...], str | None, str]] = [
    (("KEEP", _COMPILE), None, ""),
    (("KEEP", "python3 -O -m compileall -q /app", "python3 -OO -m compileall -q /app"), None, ""),
    ((f"{_COMPILE} --invalidation-mode unchecked-hash",), None, ""),
    ((f"{_COMPILE} --invalidation-mode checked-hash",), None, ""),
    (("KEEP", _COMPILE, "echo 'x = 2' > /app/a.py", "KEEP"), "error", "an import runs it instead of a.py"),
    ((f"{_COMPILE} --invalidation-mode unchecked-hash", "echo 'x = 2' > /app/a.py"), "error", "an import runs it instead of a.py"),
    ((f"{_COMPILE} --invalidation-mode checked-hash", "echo 'x = 2' > /app/a.py"), "warning", "its hash is not its source's"),
    (("KEEP", _COMPILE, "echo 'x = 22' > /app/a.py", "KEEP"), "warning", "another time or size"),
    ((_COMPILE, "rm /app/a.py"), "warning", "there is no source for it"),
    ((_COMPILE, "mv /app/__pycache__/a.*.pyc /app/__pycache__/a.cpython-27.pyc"), "warning", "another interpreter wrote it"),
    ((_COMPILE, "for f in /app/__pycache__/a.*; do printf 'abcd' | dd of=$f conv=notrunc 2>/dev/null; done"), "warning", "magic number"),
    ((_COMPILE, "echo 'MARK' > /app/__pycache__/a.$(python3 -c 'import sys; print(sys.implementation.cache_tag)').pyc"), "warning", "magic number"),
    (("printf 'abcdabcd' > /app/module.pyc",), "error", "an import of it fails"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "steps", "severity", "words"),
    # what decides is read by the image's own Python: the oldest has some of each kind
    [("3.13", *row) for row in _BYTECODE] + [("3.8", *row) for row in sample(_BYTECODE, 4)],
)
def test_bytecode(
    *,
    image: Callable[..., str],
    project: Callable[..., Project],
    version: str,
    steps: tuple[str, ...],
    severity: str | None,
    words: str,
) -> None:
    """What Python itself does is the oracle: `import a` runs old code exactly where it is an error."""
    if not shutil.which("busybox"):
        missing("busybox", "apt-get install busybox-static")
    tag = _bytecode(
        image,
        version,
        *[step.replace("mv ", "/bin/busybox mv ").replace("| dd", "| /bin/busybox dd") for step in steps],
    )

    result = project().check(f"image:{tag}:/app")
    found = [one for one in result.json["diagnostics"] if one["code"] == "BG405"]

    assert result.json["unproven"] == []
    assert [one["severity"] for one in found] == ([severity] if severity is not None else [])
    assert all(words in one["message"] for one in found)
    assert _imports_what_it_says(tag) is not (severity == "error" and "instead" in words)


def _imports_what_it_says(tag: str) -> bool:
    """Whether an import of `a` in the image gives what its source says."""
    code = (
        "import sys; sys.dont_write_bytecode = True; sys.path.insert(0, '/app')\n"
        "import os\nif not os.path.exists('/app/a.py'): sys.exit(0)\n"
        "import a; space = {}; exec(open('/app/a.py').read(), space); sys.exit(a.x != space['x'])"
    )
    container = images.api().create_container(tag, ["python3", "-c", code], network_disabled=True)
    try:
        images.api().start(container["Id"])
        return bool(images.api().wait(container["Id"])["StatusCode"] == 0)
    finally:
        images.api().remove_container(container["Id"], force=True)


def test_a_module_without_a_source_is_unproven(image: Callable[..., str], project: Callable[..., Project]) -> None:
    tag = _bytecode(image, "3.11", "cd /app", "python3 -m compileall -q -b /app", "rm /app/a.py")

    result = project().check(f"image:{tag}:/app")

    assert result.code == 3
    (one,) = result.json["unproven"]
    assert (one["path"], "it cannot be checked" in one["reason"]) == ("a.pyc", True)


def test_a_compiled_module_in_place_of_a_source_is_unproven(
    image: Callable[..., str], project: Callable[..., Project]
) -> None:
    """An import of `a` fails on it: that is what Python loads. A package's own, and another Python's, are none of ours."""
    files = {
        "app/a.py": "x = 1\n",
        "app/a.cpython-311-x86_64-linux-gnu.so": "no module",
        "app/b.py": "y = 1\n",
        "app/b.cpython-312-x86_64-linux-gnu.so": "no module",
        f"{_SITE}/c.py": "z = 1\n",
        f"{_SITE}/c.abi3.so": "no module",
    }
    tag = image(images.base("3.11"), files)

    result = project().check(f"image:{tag}:/app")

    assert result.code == 3
    (one,) = result.json["unproven"]
    assert one["path"] == "a.cpython-311-x86_64-linux-gnu.so"
    assert one["reason"] == "an import loads it instead of a.py, and it cannot be compared with that"
    assert not _imports_what_it_says(tag)


@pytest.mark.parametrize(
    ("env", "steps", "path"),
    [
        ("PYTHONPYCACHEPREFIX=/cache", (), "/cache/app/a.cpython-311.pyc"),
        ("PYTHONPYCACHEPREFIX=cache", ("mv /cache /app/cache",), "cache/app/a.cpython-311.pyc"),
        ("OTHER=1", (), ""),  # nothing reads the folder, and the bytecode beside the sources was never made
    ],
)
def test_bytecode_in_a_folder_of_its_own(
    image: Callable[..., str], project: Callable[..., Project], env: str, steps: tuple[str, ...], path: str
) -> None:
    """With PYTHONPYCACHEPREFIX an import reads it there."""
    evil = f"PYTHONPYCACHEPREFIX=/cache {_COMPILE} --invalidation-mode unchecked-hash"
    script = " && ".join(
        [evil, "echo 'x = 2' > /app/a.py", *(step.replace("mv ", "/bin/busybox mv ") for step in steps)]
    )
    files = {"app/a.py": "x = 1\n", "app/b.py": "y = 1\n"}
    tag = image(images.base("3.11"), files, [f"RUN {script}", "WORKDIR /app", f"ENV {env}"])

    diagnostics = project().check(f"image:{tag}:/app").json["diagnostics"]

    assert [(one["code"], one["path"]) for one in diagnostics] == ([("BG405", path)] if path else [])
    assert _imports_what_it_says(tag) is not bool(path)


def test_a_hostile_bytecode_is_no_verdict(
    image: Callable[..., str], project: Callable[..., Project], tmp_path: Path
) -> None:
    """Marshalled garbage may crash what loads it; that happens in the container, and the file stays unproven or wrong."""
    magic = "import importlib.util, sys; open('/app/__pycache__/a.cpython-311.pyc', 'wb').write(importlib.util.MAGIC_NUMBER + b'\\1\\0\\0\\0' + bytes(8) + b'\\xe3' * 3000)"
    tag = _bytecode(image, "3.11", _COMPILE, f'python3 -c "{magic}"')

    result = project().check(f"image:{tag}:/app")

    assert result.code in {1, 3}
    assert {one["code"] for one in result.json["diagnostics"]} <= {"BG405"}


def test_strays_of_installers_hide_none_of_the_projects(
    image: Callable[..., str], project: Callable[..., Project]
) -> None:
    """Both lie in the image for the same reason; the project's is told, and the other refuses nothing."""
    stray = "__pycache__/x.cpython-27.pyc"
    tag = image(images.base("3.11"), {f"{_SITE}/{stray}": "abcd", "zzz/a.py": "x = 1\n", f"zzz/{stray}": "abcd"})

    report = project().check(f"image:{tag}:/zzz", "--strict").json

    assert [(one["code"], one["path"]) for one in report["diagnostics"]] == [("BG405", stray)]
    assert "more" not in report["diagnostics"][0]["message"]
    assert report["image"]["dependencies"]["rejected"] == []


def test_bytecode_that_another_interpreter_cannot_judge(
    image: Callable[..., str], project: Callable[..., Project]
) -> None:
    tag = _bytecode(image, "3.11", _COMPILE)

    result = project().check(f"image:{tag}:/app", "--engine", "interpreter", "--target", "3.11")

    assert result.code == 3
    assert "not compared with its sources" in result.json["unproven"][0]["reason"]


def test_an_image_that_moves_while_it_is_read(
    image: Callable[..., str], project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of the one and verdicts of the other prove nothing of either."""
    from buildguard.check.image import check_image
    from buildguard.check.targets import judge_all
    from buildguard.cli.render.progress import Progress
    from buildguard.errors import UnprovenError
    from buildguard.project.request import CheckRequest

    tag = image(images.base("3.11"), _inside(_PROJECT, "/app"))

    def moved(*arguments: Any) -> Any:
        images.derived(tag, images.base("3.12"), _inside(_PROJECT, "/app"))
        return judge_all(*arguments)

    monkeypatch.setattr("buildguard.check.image.judge_all", moved)
    with pytest.raises(UnprovenError, match="became another image"):
        check_image(CheckRequest(cwd=project().path), f"image:{tag}:/app", Progress())


def test_a_project_that_buildpacks_built(image: Callable[..., str], project: Callable[..., Project]) -> None:
    files = {"svc/main.py": "x = 1\n", "svc/more.py": "", "svc/Procfile": "web: python main.py\n", "tool.py": ""}
    tag = image(images.base("3.11"), {"workspace/main.py": "x = 2\n", "workspace/Procfile": ""})
    made = project(files)

    result = made.check(f"image:{tag}")

    assert _image_of(result.json)["told_by"] == "Google's buildpacks"
    assert _image_of(result.json)["roots"] == ["/workspace"]
    found = {(item["code"], item["path"]) for item in result.json["diagnostics"] if item["severity"] == "error"}
    assert {("BG301", "svc/more.py"), ("BG303", "svc/main.py")} <= found
