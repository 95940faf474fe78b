"""Repositories in the shapes that the field has, each with the targets and the files that they run, known by construction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

Files = dict[str, str]
Expected = set[tuple[str, frozenset[str]]]


class Variant(NamedTuple):
    """The names and versions that a shape is filled with."""

    python: str
    other: str
    service: str
    package: str


class Layout(NamedTuple):
    """A repository: its files, and for each target the version with the sources that it runs."""

    name: str
    files: Files
    expected: Expected


VARIANTS = (
    Variant("3.11", "3.9", "api", "app"),
    Variant("3.12", "3.10", "backend", "shop"),
    Variant("3.9", "3.13", "services/web", "lib"),
)
Shape = Callable[[Variant], tuple[Files, Expected]]
SHAPES: list[Shape] = []


def _shape(function: Shape) -> Shape:
    SHAPES.append(function)
    return function


def layouts() -> Iterator[Layout]:
    """Every shape with every variant."""
    for shape in SHAPES:
        for number, variant in enumerate(VARIANTS):
            files, expected = shape(variant)
            yield Layout(f"{shape.__name__.strip('_')}-{number}", files, expected)


def _runs(python: str, *paths: str) -> tuple[str, frozenset[str]]:
    return python, frozenset(paths)


def _docker(python: str, *lines: str) -> str:
    return "\n".join([f"FROM python:{python}-slim", "WORKDIR /srv", *lines]) + "\n"


def _step(words: str, name: str = "gcr.io/cloud-builders/docker", more: str = "") -> str:
    return f"- name: {name}\n  args: [{words}]\n{more}"


def _gcloud(words: str) -> str:
    return _step(words, "gcr.io/google.com/cloudsdktool/cloud-sdk", "  entrypoint: gcloud\n")


def _outside(v: Variant, *more: str) -> Files:
    """A Dockerfile in a folder of its own, the code in another one."""
    return {
        "docker/Dockerfile": _docker(v.python, "COPY . .", *more),
        "docker/util.py": "",
        f"{v.package}/main.py": "",
        "pyproject.toml": f'[project]\nname = "x"\nrequires-python = ">={v.other}"\n',
    }


def _everything(v: Variant) -> Expected:
    return {_runs(v.python, "docker/util.py", f"{v.package}/main.py")}


# ------------------------------------------------------------------------------------------ Dockerfiles


@_shape
def _at_the_root(v: Variant) -> tuple[Files, Expected]:
    files = {"Dockerfile": _docker(v.python, "COPY . ."), "a.py": "", f"{v.package}/b.py": ""}
    return files, {_runs(v.python, "a.py", f"{v.package}/b.py")}


@_shape
def _compose(v: Variant) -> tuple[Files, Expected]:
    compose = "services:\n  web:\n    build:\n      context: .\n      dockerfile: docker/Dockerfile\n"
    return {**_outside(v), "compose.yaml": compose}, _everything(v)


@_shape
def _compose_in_a_folder(v: Variant) -> tuple[Files, Expected]:
    compose = "services: {web: {build: {context: .., dockerfile: docker/Dockerfile}}}\n"
    return {**_outside(v), "deploy/docker-compose.yml": compose}, _everything(v)


@_shape
def _compose_include(v: Variant) -> tuple[Files, Expected]:
    build = "services: {web: {build: {context: .., dockerfile: docker/Dockerfile}}}\n"
    return {**_outside(v), "compose.yaml": "include: [infra/web.yml]\n", "infra/web.yml": build}, _everything(v)


@_shape
def _compose_extends(v: Variant) -> tuple[Files, Expected]:
    build = "services: {base: {build: {context: .., dockerfile: docker/Dockerfile}}}\n"
    compose = "services: {web: {extends: {file: infra/base.yml, service: base}}}\n"
    return {**_outside(v), "docker-compose.yaml": compose, "infra/base.yml": build}, _everything(v)


@_shape
def _compose_layer(v: Variant) -> tuple[Files, Expected]:
    base = "services: {web: {build: {context: ., dockerfile: docker/Dockerfile}}}\n"
    layer = "services: {web: {build: {args: {A: b}}}}\n"
    return {**_outside(v), "compose.yaml": base, "compose.override.yaml": layer}, _everything(v)


@_shape
def _compose_arguments(v: Variant) -> tuple[Files, Expected]:
    compose = f"services: {{web: {{build: {{context: {v.service}, args: {{PY: '{v.python}'}}}}}}}}\n"
    files = {f"{v.service}/Dockerfile": "ARG PY\nFROM python:${PY}\nCOPY . .\n", f"{v.service}/a.py": ""}
    return {**files, "compose.yaml": compose}, {_runs(v.python, f"{v.service}/a.py")}


@_shape
def _compose_build_in_cloudbuild(v: Variant) -> tuple[Files, Expected]:
    compose = "services: {web: {build: {context: ., dockerfile: docker/Dockerfile}}}\n"
    steps = "steps:\n" + _step("-f, release.yml, build", "docker/compose:1.29")
    return {**_outside(v), "release.yml": compose, "cloudbuild.yaml": steps}, _everything(v)


@_shape
def _skaffold(v: Variant) -> tuple[Files, Expected]:
    text = "build:\n  artifacts:\n  - image: x\n    context: .\n    docker:\n      dockerfile: docker/Dockerfile\n"
    return {**_outside(v), "skaffold.yaml": text}, _everything(v)


@_shape
def _skaffold_documents(v: Variant) -> tuple[Files, Expected]:
    text = "kind: Config\nrequires: [{path: x}]\n---\nbuild: {artifacts: [{image: x, docker: {dockerfile: docker/Dockerfile}}]}\n"
    return {**_outside(v), "skaffold.yaml": text}, _everything(v)


@_shape
def _workflow(v: Variant) -> tuple[Files, Expected]:
    text = (
        "on: push\njobs:\n  image:\n    runs-on: x\n    steps:\n    - uses: actions/checkout@v4\n"
        "    - uses: docker/build-push-action@v6\n      with:\n        context: .\n        file: docker/Dockerfile\n"
    )
    return {**_outside(v), ".github/workflows/image.yml": text}, _everything(v)


@_shape
def _workflow_matrix(v: Variant) -> tuple[Files, Expected]:
    text = (
        "jobs:\n  image:\n    strategy: {matrix: {name: [one, two]}}\n    steps:\n    - uses: docker/build-push-action@v5\n"
        "      with: {context: 'img/${{ matrix.name }}'}\n"
    )
    files = {
        "img/one/Dockerfile": _docker(v.python, "COPY . ."),
        "img/one/a.py": "",
        "img/two/Dockerfile": _docker(v.other, "COPY . ."),
        "img/two/b.py": "",
        ".github/workflows/image.yml": text,
    }
    return files, {_runs(v.python, "img/one/a.py"), _runs(v.other, "img/two/b.py")}


@_shape
def _cloudbuild(v: Variant) -> tuple[Files, Expected]:
    return {
        **_outside(v),
        "cloudbuild.yaml": "steps:\n" + _step("build, -f, docker/Dockerfile, -t, x, ."),
    }, _everything(v)


@_shape
def _cloudbuild_script(v: Variant) -> tuple[Files, Expected]:
    steps = "steps:\n- name: docker\n  script: |\n    cd docker\n    docker build -f Dockerfile ..\n"
    return {**_outside(v), "cloudbuild.yaml": steps}, _everything(v)


@_shape
def _kaniko(v: Variant) -> tuple[Files, Expected]:
    step = _step("'--dockerfile=docker/Dockerfile', '--context=dir://.'", "gcr.io/kaniko-project/executor:v1")
    return {**_outside(v), "cloudbuild.yaml": "steps:\n" + step}, _everything(v)


@_shape
def _substitution(v: Variant) -> tuple[Files, Expected]:
    steps = "steps:\n" + _step("build, --build-arg, PY=$_PY, .") + f"substitutions: {{_PY: '{v.python}'}}\n"
    files = {"Dockerfile": f"ARG PY={v.other}\nFROM python:$PY\nCOPY . .\n", "a.py": "", "cloudbuild.yaml": steps}
    return files, {_runs(v.python, "a.py")}


@_shape
def _copy_source_above(v: Variant) -> tuple[Files, Expected]:
    files = {"docker/Dockerfile": _docker(v.python, f"COPY {v.package} /srv/{v.package}"), "docker/util.py": ""}
    files |= {f"{v.package}/main.py": ""}
    return files, _everything(v)


@_shape
def _copy_source_beside(v: Variant) -> tuple[Files, Expected]:
    files = {
        f"{v.service}/Dockerfile": _docker(v.python, "COPY requirements.txt .", "COPY . ."),
        f"{v.service}/requirements.txt": "",
        f"{v.service}/a.py": "",
        "tool.py": "",
        ".python-version": v.other,
    }
    return files, {_runs(v.python, f"{v.service}/a.py"), _runs(v.other, "tool.py")}


@_shape
def _start_command_decides(v: Variant) -> tuple[Files, Expected]:
    return _outside(v, f'CMD ["python", "{v.package}/main.py"]'), _everything(v)


@_shape
def _requirements_decide(v: Variant) -> tuple[Files, Expected]:
    return {**_outside(v, "RUN pip install -r requirements.txt"), "requirements.txt": ""}, _everything(v)


@_shape
def _nothing_decides(v: Variant) -> tuple[Files, Expected]:
    """The other files may be in the image too: they are compiled, and a refusal is unproven."""
    return _outside(v), _everything(v)


@_shape
def _monorepo(v: Variant) -> tuple[Files, Expected]:
    files = {f"s{n}/Dockerfile": _docker(v.python if n % 2 else v.other, "COPY main.py .") for n in range(4)}
    files |= {f"s{n}/main.py": "" for n in range(4)}
    return files, {_runs(v.python if n % 2 else v.other, f"s{n}/main.py") for n in range(4)}


@_shape
def _shared_context(v: Variant) -> tuple[Files, Expected]:
    names = ("one", "two")
    files = {
        f"{name}/Dockerfile": _docker(v.python, f"COPY {name} /srv/{name}", "COPY common /srv/common") for name in names
    }
    files |= {"one/a.py": "", "two/b.py": "", "common/c.py": ""}
    return files, {_runs(v.python, "one/a.py", "common/c.py"), _runs(v.python, "two/b.py", "common/c.py")}


@_shape
def _one_context_for_several(v: Variant) -> tuple[Files, Expected]:
    """Each image copies its own server: a file that only one of them copies is not the other's."""
    files = {
        f"python/{name}.Dockerfile": _docker(python, "COPY common common", f"COPY {name}server {name}server")
        for name, python in (("one", v.python), ("two", v.other))
    }
    files |= {
        "python/common/c.py": "",
        "python/oneserver/a.py": "",
        "python/twoserver/b.py": "",
        "python/test_all.py": "",
    }
    rest = ("python/common/c.py", "python/test_all.py")
    return files, {_runs(v.python, "python/oneserver/a.py", *rest), _runs(v.other, "python/twoserver/b.py", *rest)}


@_shape
def _dockerignore(v: Variant) -> tuple[Files, Expected]:
    files = {
        "Dockerfile": _docker(v.python, "COPY . ."),
        ".dockerignore": f"{v.service}\n",
        "a.py": "",
        f"{v.service}/Dockerfile": _docker(v.other, "COPY b.py ."),
        f"{v.service}/b.py": "",
    }
    return files, {_runs(v.python, "a.py"), _runs(v.other, f"{v.service}/b.py")}


# ------------------------------------------------------------------------------------------ which Python


@_shape
def _builder_stage(v: Variant) -> tuple[Files, Expected]:
    text = f"FROM python:{v.other} AS build\nCOPY . .\nRUN pip wheel .\nFROM python:{v.python}\nCOPY --from=build /w /w\nCOPY . .\n"
    return {"Dockerfile": text, "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _argument_default(v: Variant) -> tuple[Files, Expected]:
    text = f"ARG PYTHON_VERSION={v.python}\nFROM python:${{PYTHON_VERSION}}-slim AS base\nFROM base\nCOPY . .\n"
    return {"Dockerfile": text, "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _distribution(v: Variant) -> tuple[Files, Expected]:
    base = {"3.11": "debian:bookworm-slim", "3.12": "ubuntu:24.04", "3.9": "debian:11"}[v.python]
    text = f"FROM {base}\nRUN apt-get update && apt-get install -y python3 python3-pip\nCOPY . .\n"
    return {"Dockerfile": text, "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _package_of_a_version(v: Variant) -> tuple[Files, Expected]:
    text = f"FROM ubuntu:20.04\nRUN add-apt-repository ppa:x && apt-get install -y python{v.python} python{v.python}-venv\nCOPY . .\n"
    return {"Dockerfile": text, "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _uv_python(v: Variant) -> tuple[Files, Expected]:
    text = (
        f"FROM ghcr.io/astral-sh/uv:bookworm-slim AS builder\nENV UV_PYTHON_INSTALL_DIR=/python\nRUN uv python install {v.python}\n"
        "COPY . /app\nFROM debian:bookworm-slim\nCOPY --from=builder /python /python\nCOPY --from=builder /app /app\n"
    )
    return {"Dockerfile": text, "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _conda(v: Variant) -> tuple[Files, Expected]:
    text = f"FROM continuumio/miniconda3:24.1\nRUN conda create -y -n x python={v.python}\nCOPY . .\n"
    return {"Dockerfile": text, "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _version_in_the_name(v: Variant) -> tuple[Files, Expected]:
    minor = v.python.partition(".")[2]
    names = {
        "3.11": f"reg/python3{minor}-template-launcher-base",
        "3.12": f"ubi9/python-3{minor}",
        "3.9": f"apache/beam_python3.{minor}_sdk:2",
    }
    return {"Dockerfile": f"FROM {names[v.python]}\nCOPY . .\n", "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _another_implementation(v: Variant) -> tuple[Files, Expected]:
    return {"Dockerfile": f"FROM pypy:{v.python}\nCOPY . .\n", "a.py": "", ".python-version": v.other}, {
        _runs("unknown", "a.py")
    }


@_shape
def _private_base(v: Variant) -> tuple[Files, Expected]:
    text = "FROM acme/base:1\nCOPY . .\nRUN pip install -r requirements.txt\n"
    return {"Dockerfile": text, "a.py": "", ".python-version": v.python}, {_runs("unknown", "a.py")}


@_shape
def _two_installed(v: Variant) -> tuple[Files, Expected]:
    text = f"FROM acme/base:1\nRUN apt-get install -y python{v.python} python{v.other}\nCOPY . .\n"
    return {"Dockerfile": text, "a.py": ""}, {_runs("unknown", "a.py")}


# ------------------------------------------------------------------------------------------ what is no target


@_shape
def _backups(v: Variant) -> tuple[Files, Expected]:
    names = (
        "Dockerfile.old",
        "Dockerfile.backup",
        "Dockerfile.sample",
        "Dockerfile.orig",
        "Dockerfile.tmpl",
        "Dockerfile.cloudbuild.yaml",
    )
    files = {name: _docker(v.other, "COPY . .") for name in names}
    return {**files, "Dockerfile": _docker(v.python, "COPY . ."), "a.py": ""}, {_runs(v.python, "a.py")}


@_shape
def _other_languages(v: Variant) -> tuple[Files, Expected]:
    files = {
        "cart/Dockerfile": "FROM mcr.microsoft.com/dotnet/sdk:8.0 AS b\nCOPY . .\nFROM mcr.microsoft.com/dotnet/aspnet:8.0\nCOPY --from=b /o .\n",
        "front/Dockerfile": 'FROM node:20-alpine\nRUN apk add python3 make g++\nCOPY . .\nCMD ["node", "x.js"]\n',
        "front/package.json": "{}",
        "proxy/Dockerfile": "FROM nginx:1.25\nCOPY nginx.conf /etc/nginx/\n",
        "load/Dockerfile": "FROM justb4/jmeter:5.5\nCOPY . /tests\n",
        "tools/x.py": "",
        "py/Dockerfile": _docker(v.python, "COPY a.py ."),
        "py/a.py": "",
        ".python-version": v.other,
    }
    return files, {_runs(v.python, "py/a.py"), _runs(v.other, "tools/x.py")}


@_shape
def _tooling(v: Variant) -> tuple[Files, Expected]:
    files = {".devcontainer/Dockerfile": _docker(v.other), "Dockerfile": _docker(v.python, "COPY . ."), "a.py": ""}
    return files, {_runs(v.python, "a.py")}


@_shape
def _step_images(v: Variant) -> tuple[Files, Expected]:
    steps = "steps:\n" + _step("tests", f"python:{v.other}", "  entrypoint: pytest\n") + _step("build, .")
    return {"Dockerfile": _docker(v.python, "COPY . ."), "a.py": "", "cloudbuild.yaml": steps}, {
        _runs(v.python, "a.py")
    }


@_shape
def _broken_toml(v: Variant) -> tuple[Files, Expected]:
    files = {
        f"{v.service}/pyproject.toml": "[project\n",
        f"{v.service}/Dockerfile": _docker(v.python, "COPY a.py ."),
        f"{v.service}/a.py": "",
    }
    return files, {_runs(v.python, f"{v.service}/a.py")}


@_shape
def _test_data(v: Variant) -> tuple[Files, Expected]:
    files = {
        ".python-version": v.python,
        "a.py": "",
        "tests/fixtures/one/.python-version": v.other,
        "tests/fixtures/one/main.py": "",
    }
    return files, {_runs(v.python, "a.py", "tests/fixtures/one/main.py")}


# ------------------------------------------------------------------------------------------ without a Dockerfile


def _app(folder: str) -> Files:
    start = f"{folder}/" if folder else ""
    return {f"{start}main.py": "", f"{start}requirements.txt": "gunicorn\n"}


@_shape
def _source_deploy(v: Variant) -> tuple[Files, Expected]:
    files = {
        **_app(""),
        ".python-version": v.python,
        "cloudbuild.yaml": "steps:\n" + _gcloud("run, deploy, s, --source, ."),
    }
    return {**files, "pyproject.toml": f"[project]\nrequires-python = '>={v.other}'\n"}, {_runs(v.python, "main.py")}


@_shape
def _unpinned_source_deploy(v: Variant) -> tuple[Files, Expected]:
    files = {**_app(v.service), "cloudbuild.yaml": "steps:\n" + _gcloud(f"run, deploy, s, '--source={v.service}'")}
    return {**files, f"{v.service}/runtime.txt": f"python-{v.python}"}, {_runs("3.14", f"{v.service}/main.py")}


@_shape
def _base_image(v: Variant) -> tuple[Files, Expected]:
    minor = v.python.partition(".")[2]
    words = f"run, deploy, s, --source, {v.service}, '--base-image=python3{minor}'"
    return {**_app(v.service), "cloudbuild.yaml": "steps:\n" + _gcloud(words)}, {
        _runs(v.python, f"{v.service}/main.py")
    }


@_shape
def _function(v: Variant) -> tuple[Files, Expected]:
    minor = v.python.partition(".")[2]
    words = f"functions, deploy, f, --runtime, python3{minor}, --source, {v.service}"
    return {**_app(v.service), "cloudbuild.yaml": "steps:\n" + _gcloud(words)}, {
        _runs(v.python, f"{v.service}/main.py")
    }


@_shape
def _build_variables(v: Variant) -> tuple[Files, Expected]:
    words = f"run, deploy, s, --source, {v.service}, --set-build-env-vars, GOOGLE_PYTHON_VERSION={v.python}.x"
    return {**_app(v.service), "cloudbuild.yaml": "steps:\n" + _gcloud(words)}, {
        _runs(v.python, f"{v.service}/main.py")
    }


@_shape
def _project_descriptor(v: Variant) -> tuple[Files, Expected]:
    text = f'[[build.env]]\nname = "GOOGLE_PYTHON_VERSION"\nvalue = "{v.python}"\n'
    files = {**_app(v.service), f"{v.service}/project.toml": text, f"{v.service}/.python-version": v.other}
    return {**files, "cloudbuild.yaml": "steps:\n" + _gcloud(f"run, deploy, s, --source, {v.service}")}, {
        _runs(v.python, f"{v.service}/main.py")
    }


@_shape
def _pack(v: Variant) -> tuple[Files, Expected]:
    step = _step(
        f"build, i, '--builder=gcr.io/buildpacks/builder:google-22', '--path={v.service}'", "gcr.io/k8s-skaffold/pack"
    )
    test = _step("tests", f"python:{v.other}", "  entrypoint: pytest\n")
    return {**_app(v.service), "cloudbuild.yaml": f"steps:\n{step}{test}"}, {_runs("3.13", f"{v.service}/main.py")}


@_shape
def _skaffold_buildpack(v: Variant) -> tuple[Files, Expected]:
    text = f"build: {{artifacts: [{{image: x, context: {v.service}, buildpacks: {{env: [GOOGLE_PYTHON_VERSION={v.python}]}}}}]}}\n"
    return {**_app(v.service), "skaffold.yaml": text}, {_runs(v.python, f"{v.service}/main.py")}


@_shape
def _app_engine(v: Variant) -> tuple[Files, Expected]:
    files: Files = {}
    for folder, python in (("default", v.python), ("worker", v.other)):
        files |= {**_app(folder), f"{folder}/app.yaml": f"runtime: python3{python.partition('.')[2]}\n"}
    return files, {_runs(v.python, "default/main.py"), _runs(v.other, "worker/main.py")}


@_shape
def _folders(v: Variant) -> tuple[Files, Expected]:
    files = {**_app("a"), "a/.python-version": v.python, **_app("b"), "b/.python-version": v.other}
    return files, {_runs(v.python, "a/main.py"), _runs(v.other, "b/main.py")}


@_shape
def _packages_of_a_workspace(v: Variant) -> tuple[Files, Expected]:
    wanted = f"[project]\nrequires-python = '>={v.python}'\n"
    files = {"pyproject.toml": wanted, "packages/a/pyproject.toml": wanted, "packages/a/x.py": "", "y.py": ""}
    return files, {_runs(v.python, "packages/a/x.py", "y.py")}


@_shape
def _dockerfile_and_app_engine(v: Variant) -> tuple[Files, Expected]:
    files = {
        "web/Dockerfile": _docker(v.python, "COPY a.py ."),
        "web/a.py": "",
        **_app("fn"),
        "fn/app.yaml": f"runtime: python3{v.other.partition('.')[2]}\n",
    }
    return files, {_runs(v.python, "web/a.py"), _runs(v.other, "fn/main.py")}


@_shape
def _procfile_alone(v: Variant) -> tuple[Files, Expected]:
    """Whatever requires-python says, a source deploy has buildpacks choose the Python."""
    files = {
        "Procfile": "web: gunicorn -b :$PORT main:app\n",
        "main.py": "",
        "requirements.txt": "gunicorn\n",
        "pyproject.toml": f'[project]\nname = "x"\nrequires-python = ">={v.other}"\n',
    }
    return files, {_runs("3.14", "main.py")}


@_shape
def _procfiles_in_folders(v: Variant) -> tuple[Files, Expected]:
    procfile = "web: gunicorn -b :$PORT main:app\n"
    files = {
        f"{v.service}/Procfile": procfile,
        f"{v.service}/main.py": "",
        f"{v.service}/.python-version": "3.13\n",
        "second/Procfile": procfile,
        "second/main.py": "",
    }
    return files, {_runs("3.13", f"{v.service}/main.py"), _runs("3.14", "second/main.py")}


@_shape
def _procfile_beside_a_dockerfile(v: Variant) -> tuple[Files, Expected]:
    files = {"Procfile": "web: python main.py\n", "main.py": "", "Dockerfile": _docker(v.python, "COPY . .")}
    return files, {_runs(v.python, "main.py")}


@_shape
def _procfile_of_another_platform(_v: Variant) -> tuple[Files, Expected]:
    files = {"Procfile": "web: python main.py\n", "main.py": "", "runtime.txt": "python-3.11.9\n"}
    return files, {_runs("3.11.9", "main.py")}


@_shape
def _images_of_tools(v: Variant) -> tuple[Files, Expected]:
    """What copies nothing and starts a tool ships no file of the project."""
    files = {
        "Dockerfile": _docker(v.python, "COPY . ."),
        "lint/Dockerfile": f'FROM python:{v.other}\nRUN pip install pylint\nENTRYPOINT ["pylint"]\n',
        "ci/Dockerfile": f"FROM python:{v.other}\nRUN pip install black flake8==7.0.0\n",
        "ci/make.Dockerfile": f'FROM python:{v.other}\nRUN apt-get install -y shellcheck\nENTRYPOINT ["make"]\n',
        "a.py": "",
    }
    return files, {_runs(v.python, "a.py")}


@_shape
def _mounted_sources(v: Variant) -> tuple[Files, Expected]:
    """A server without a COPY runs what a volume brings."""
    files = {
        "Dockerfile": f"FROM python:{v.python}\nWORKDIR /app\nRUN pip install flask\nCMD flask --app main run\n",
        "main.py": "",
    }
    return files, {_runs(v.python, "main.py")}


@_shape
def _templates(v: Variant) -> tuple[Files, Expected]:
    files = {
        "Dockerfile": _docker(v.python, "COPY . ."),
        "{{cookiecutter.slug}}/Dockerfile": _docker(v.other, "COPY . ."),
        "deploy/Dockerfile": "FROM python:{{ python_version }}\nCOPY . .\n",
        "jinja/Dockerfile": "FROM python:3.9\n{%- if worker %}\nCOPY worker .\n{% endif %}\n",
        "gen/Dockerfile-template-python": "FROM ${baseImage}\n",
        "a.py": "",
    }
    return files, {_runs(v.python, "a.py")}
