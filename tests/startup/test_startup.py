"""Small projects with one fault, or none, and what is reported of them before a build."""

from __future__ import annotations

from pathlib import Path

import pytest

from buildguard.diagnostic import Severity
from buildguard.project.config import Config
from buildguard.stages.filesystem import FolderStage
from buildguard.startup.run import check_startup
from tests.startup.projects import APP, Files, report_of, rows_of

_HEAD = "FROM python:3.11-slim\nWORKDIR /srv\n"
_DOCKER_STEP = "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build, -t, x, .]\n"
_INSTALL = "RUN pip install -r requirements.txt\n"
_ALL = f"{_HEAD}COPY . .\n{_INSTALL}"  # the command is line 5
_DEPLOY = "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [run, deploy, svc, --image, img{}]\n"


@pytest.mark.parametrize(
    "command",
    [
        'CMD ["gunicorn", "main:app"]',
        "CMD exec gunicorn --bind :$PORT main:app",
        'CMD ["gunicorn", "-b", ":8080", "main:app"]',
        'CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "8080"]',
        'CMD ["python", "main.py"]',
        'CMD ["python", "-m", "http.server"]',
        'CMD ["./start.sh"]',
        'CMD ["sh", "start.sh"]',
        'ENTRYPOINT ["setsid", "--wait", "/srv/start.sh"]',
        'ENTRYPOINT ["/usr/local/bin/tool"]',
        'CMD ["supervisord"]',
        'CMD ["gunicorn", "flask_tool:app"]',
        'CMD gunicorn "main:$APP"',
        "CMD cd pkg && gunicorn --bind :$PORT web:app",
        'CMD ["gunicorn", "--chdir", "pkg", "web:app"]',
        'CMD ["uvicorn", "--app-dir", "pkg", "web:app", "--host", "0.0.0.0"]',
        "ENV PYTHONPATH=/srv/pkg\nCMD gunicorn web:app",
        'CMD ["python", "-m", "pkg"]',
        'CMD ["gunicorn", "pkg:app"]',
        'CMD ["gunicorn", "pkg:create()"]',
        'CMD ["gunicorn", "dynamic:anything"]',
        'CMD ["functions-framework", "--target", "hello"]',
        "RUN make\nCMD gunicorn made:app",
        "RUN cp main.py made.py\nCMD gunicorn made:app",
        'RUN chmod +x plain.sh\nENTRYPOINT ["./plain.sh"]',
        'RUN dos2unix crlf.sh\nENTRYPOINT ["./crlf.sh"]',
        'COPY --chmod=755 plain.sh /run.sh\nENTRYPOINT ["/run.sh"]',
        'COPY <<EOF gen.py\nprint()\nEOF\nCMD ["python", "gen.py"]',
        "COPY *.missing ./\nCMD gunicorn main:app",
        "COPY --from=nginx /x /y\nADD https://example.invalid/x.py made.py\nCMD python made.py",
        "RUN pip install .\nCMD gunicorn elsewhere:app",
    ],
)
def test_nothing_is_reported_of_what_starts_or_may(tmp_path: Path, command: str) -> None:
    files = {
        "Dockerfile": f"{_ALL}{command}\n",
        "requirements.txt": "flask\ngunicorn\nuvicorn\nflask-tool\nsupervisor\n",
        "start.sh": "#!/bin/sh\nset -e\nexec gunicorn --bind :$PORT main:app\n",
        "plain.sh": "#!/bin/sh\nexec gunicorn main:app\n",
        "crlf.sh": "#!/bin/sh\r\nexec gunicorn main:app\r\n",
        "pkg/__init__.py": "from .web import app\ndef create(): return app\n",
        "pkg/__main__.py": "",
        "pkg/web.py": APP,
        "dynamic.py": "globals()['anything'] = 1\n",
        "setup.py": "",
    }
    files["main.py"] = f"{APP}\ndef hello(request): return ''\n"

    assert rows_of(report_of(tmp_path, files, executable=("start.sh", "crlf.sh"))) == []


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ('ENTRYPOINT ["./missing.sh"]', "BG701"),
        ('ENTRYPOINT ["start.sh"]', "BG701"),
        ('CMD ["python", "missing.py"]', "BG701"),
        ('CMD ["python", "-m", "pkg"]', "BG701"),
        ('CMD ["python", "pkg"]', "BG701"),
        ('CMD ["gunicorn", "server.main:app"]', "BG701"),
        ('CMD ["gunicorn", "pkg.missing:app"]', "BG701"),
        ('CMD ["gunicorn", "Main:app"]', "BG701"),
        ('CMD ["gunicorn", "main:server"]', "BG701"),
        ('CMD ["gunicorn", "main:create_app()"]', "BG701"),
        ('CMD ["gunicorn", "-c", "missing.py", "main:app"]', "BG701"),
        ('CMD ["uvicorn", "main:missing", "--host", "0.0.0.0", "--port", "8080"]', "BG701"),
        ('CMD ["functions-framework", "--target=hello"]', "BG701"),
        ('CMD ["functions-framework", "--target=app", "--source=code.py"]', "BG701"),
        ("CMD fastapi run missing.py", "BG701"),
        ("CMD python missing.py && gunicorn main:app", "BG701"),
        ("CMD celery -A missing_module worker", "BG701"),
        ('CMD ["gunicorn", "-b", "127.0.0.1:8080", "main:app"]', "BG705"),
        ('CMD ["gunicorn", "-b", "localhost:8080", "main:app"]', "BG705"),
        ('CMD ["gunicorn", "-b", ":$PORT", "main:app"]', "BG705"),
        ('CMD ["gunicorn", "-b", "0.0.0.0:${PORT}", "main:app"]', "BG705"),
        ("CMD uvicorn main:app", "BG705"),
        ("CMD uvicorn main:app --port $PORT", "BG705"),
        ('CMD ["uvicorn", "main:app", "--host", "0.0.0.0", "--port", "$PORT"]', "BG705"),
        ("CMD flask --app main run", "BG705"),
        ("CMD python manage.py runserver", "BG705"),
    ],
)
def test_faults_of_a_command(tmp_path: Path, command: str, code: str) -> None:
    files = {
        "Dockerfile": f"{_ALL}{command}\n",
        "start.sh": "#!/bin/sh\n",
        "pkg/__init__.py": "",
        "manage.py": "",
    }

    assert rows_of(report_of(tmp_path, files)) == [(code, "Dockerfile", 5)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"#!/bin/sh\r\nexec x\r\n", "CRLF"),
        (b"#!/usr/bin/env bash\r\n", "CRLF"),
        (b"exec gunicorn main:app\n", "no `#!` line"),
        (b"\xef\xbb\xbf#!/bin/sh\n", "byte order mark"),
        (b"#!/usr/bin/env python3 -u\n", "one word"),
        (b"#!/usr/bin/python3\n", "has no /usr/bin/python3"),
        (b"#!\n", "names no interpreter"),
    ],
)
def test_a_script_that_the_kernel_cannot_execute(tmp_path: Path, content: bytes, words: str) -> None:
    files: Files = {"Dockerfile": f'{_ALL}ENTRYPOINT ["./start.sh"]\n', "start.sh": content}
    report = report_of(tmp_path, files, executable=("start.sh",))

    assert rows_of(report) == [("BG702", "start.sh", 1)]
    assert words in report.diagnostics[0].message


def test_a_context_that_compose_declares_is_named(tmp_path: Path) -> None:
    files: Files = {
        "docker/Dockerfile": f"{_HEAD}COPY main.py .\n",
        "docker/compose.yaml": "services:\n  web:\n    build:\n      context: .\n",
    }
    (report,) = report_of(tmp_path, files).diagnostics

    assert report.message == (
        "COPY needs main.py, and the build context docker (docker/compose.yaml:4) has no such file"
    )


@pytest.mark.parametrize(
    ("base", "rows"),
    [
        ("python:3.11-alpine", [("BG702", "start.sh", 1)]),
        ("alpine:3.20", [("BG702", "start.sh", 1)]),
        ("gcr.io/google.com/cloudsdktool/google-cloud-cli:alpine", []),  # it brings bash
    ],
)
def test_bash_on_an_image_of_alpine(tmp_path: Path, base: str, rows: list[tuple[str, str, int]]) -> None:
    files: Files = {
        "Dockerfile": f'FROM {base}\nCOPY . .\nRUN apk add python3\nENTRYPOINT ["./start.sh"]\n',
        "start.sh": "#!/bin/bash\npython3 main.py\n",
    }

    assert rows_of(report_of(tmp_path, files, executable=("start.sh",))) == rows


def test_modes_count_as_they_are_sent(tmp_path: Path) -> None:
    script = {"start.sh": "#!/bin/sh\nexec gunicorn main:app\n"}
    plain: Files = {"Dockerfile": f'{_ALL}ENTRYPOINT ["./start.sh"]\n', **script}
    removed: Files = {"Dockerfile": f'{_HEAD}COPY --chmod=644 . .\n{_INSTALL}ENTRYPOINT ["./start.sh"]\n', **script}
    folder: Files = {"Dockerfile": f'{_ALL}ENTRYPOINT ["./bin"]\n', "bin/x": ""}
    bash: Files = {
        "Dockerfile": 'FROM python:3.11-alpine\nCOPY . .\nENTRYPOINT ["/start.sh"]\n',
        "start.sh": "#!/bin/bash\n",
    }

    assert rows_of(report_of(tmp_path / "a", plain)) == [("BG702", "start.sh", 1)]
    assert rows_of(report_of(tmp_path / "b", removed, executable=("start.sh",))) == [("BG702", "start.sh", 1)]
    assert rows_of(report_of(tmp_path / "c", folder)) == [("BG702", "Dockerfile", 5)]
    assert rows_of(report_of(tmp_path / "d", bash, executable=("start.sh",))) == [("BG702", "start.sh", 1)]


def test_a_shell_that_reads_a_script_stumbles_over_its_line_ends(tmp_path: Path) -> None:
    files = {"Dockerfile": f'{_ALL}CMD ["sh", "start.sh"]\n', "start.sh": "#!/bin/sh\r\nexec gunicorn main:app\r\n"}

    assert rows_of(report_of(tmp_path, files)) == [("BG702", "start.sh", 1)]


@pytest.mark.parametrize(
    ("files", "row"),
    [
        ({"Dockerfile": f"{_HEAD}COPY missing.txt .\n"}, ("BG703", "Dockerfile", 3)),
        ({"Dockerfile": f"{_HEAD}COPY . .\nADD conf/ /etc/conf/\n"}, ("BG703", "Dockerfile", 4)),
        ({"Dockerfile": f"{_HEAD}COPY Main.py .\n"}, ("BG703", "Dockerfile", 3)),
        (
            {
                "Dockerfile": f"{_HEAD}COPY .git .git\n",
                "cloudbuild.yaml": _DOCKER_STEP,
            },
            ("BG703", "Dockerfile", 3),
        ),
        (
            {
                "Dockerfile": f"{_HEAD}COPY .git .git\n",
                "cloudbuild.yaml": "steps:\n- name: gcr.io/cloud-builders/docker\n  script: docker build -t x .\n",
            },
            ("BG703", "Dockerfile", 3),
        ),
        ({"Dockerfile": f"{_HEAD}COPY .git .git\n", ".dockerignore": ".git\n"}, ("BG703", "Dockerfile", 3)),
        ({"Dockerfile": f"{_HEAD}COPY main.py .\n", ".dockerignore": "*.py\n"}, ("BG703", "Dockerfile", 3)),
        ({"Dockerfile": f"{_HEAD}COPY main.py .\n", ".gcloudignore": "main.py\n"}, ("BG703", "Dockerfile", 3)),
        ({"Dockerfile": f"{_HEAD}COPY src src\n", "src/a": "", ".dockerignore": "src\n"}, ("BG703", "Dockerfile", 3)),
        ({"Dockerfile": f"{_HEAD}COPY made.txt .\n", ".gitignore": "*.txt\n"}, ("BG703", "Dockerfile", 3)),
        ({"Dockerfile": "FROM a AS b\nCOPY no .\nFROM python:3.11\nCOPY --from=b /x /y\n"}, ("BG703", "Dockerfile", 2)),
        ({"Dockerfile": f"{_HEAD}ARG A=no.txt\nCOPY $A yes.txt ./\n"}, ("BG703", "Dockerfile", 4)),
        # no folder that may be the context has it
        ({"docker/app/Dockerfile": f"{_HEAD}COPY no.txt .\n"}, ("BG703", "docker/app/Dockerfile", 3)),
    ],
)
def test_sources_that_are_not_sent(tmp_path: Path, files: Files, row: tuple[str, str, int]) -> None:
    assert rows_of(report_of(tmp_path, files)) == [row]


@pytest.mark.parametrize(
    "files",
    [
        {"Dockerfile": "FROM a AS unused\nCOPY no .\nFROM python:3.11\nCOPY main.py .\n"},
        {"Dockerfile": f"{_HEAD}COPY dist dist\n", "Makefile": "build:\n\tnpm run build --out dist\n"},
        {
            "Dockerfile": f"{_HEAD}COPY dist dist\n",
            "cloudbuild.yaml": "steps:\n- name: node\n  args: [npm, run, build]\n",
        },
        {"Dockerfile": f"{_HEAD}COPY src src\n", "src/a.py": "", ".dockerignore": "src/*.py\n"},
        {"Dockerfile": f"{_HEAD}COPY $UNKNOWN .\n"},
        {"Dockerfile": f"{_HEAD}COPY .git .git\n"},  # a plain docker build sends it
        *(
            {"Dockerfile": f"{_HEAD}COPY .git .git\n", "cloudbuild.yaml": _DOCKER_STEP, path: content}
            for path, content in (
                (".github/workflows/a.yml", "jobs:\n  b:\n    steps:\n    - run: docker build --tag x .\n"),
                (".github/workflows/a.yml", "jobs:\n  b:\n    steps:\n    - uses: docker/build-push-action@v6\n"),
                ("Makefile", "image:\n\tdocker buildx build -t x .\n"),
                ("deploy.sh", "docker compose build\n"),
            )
        ),
        {"docker/app/Dockerfile": f"{_HEAD}COPY a.txt b.txt ./\n", "docker/app/a.txt": "", "b.txt": ""},
    ],
)
def test_sources_that_may_be_sent_or_are_not_needed(tmp_path: Path, files: Files) -> None:
    assert rows_of(report_of(tmp_path, files)) == []


@pytest.mark.parametrize(
    ("files", "row"),
    [
        ({"main.py": f"import helpers\n{APP}", "helpers.py": ""}, ("BG704", "Dockerfile", 3)),
        ({"main.py": f"from lib.helpers import x\n{APP}", "lib/helpers.py": "x = 1"}, ("BG704", "Dockerfile", 3)),
        ({"main.py": f"DATA = open('data.json').read()\n{APP}", "data.json": ""}, ("BG704", "Dockerfile", 3)),
        (
            {"main.py": f"from pathlib import Path\nD = Path('d.txt').read_text()\n{APP}", "d.txt": ""},
            ("BG704", "Dockerfile", 3),
        ),
    ],
)
def test_a_needed_file_that_no_copy_brings(tmp_path: Path, files: Files, row: tuple[str, str, int]) -> None:
    dockerfile = f'{_HEAD}COPY main.py requirements.txt ./\n{_INSTALL}CMD ["gunicorn", "main:app"]\n'

    assert rows_of(report_of(tmp_path, {"Dockerfile": dockerfile, **files})) == [row]


@pytest.mark.parametrize(
    "main",
    [
        f"try:\n    import helpers\nexcept ImportError:\n    helpers = None\n{APP}",
        f"def late():\n    import helpers\n{APP}",
        f"import typing\nif typing.TYPE_CHECKING:\n    import helpers\n{APP}",
        f"open('data.json', 'w')\n{APP}",
        f"import requests\n{APP}",
    ],
)
def test_what_is_not_needed_for_certain_is_not_reported(tmp_path: Path, main: str) -> None:
    dockerfile = f'{_HEAD}COPY main.py requirements.txt ./\n{_INSTALL}CMD ["gunicorn", "main:app"]\n'

    assert (
        rows_of(report_of(tmp_path, {"Dockerfile": dockerfile, "main.py": main, "helpers.py": "", "data.json": ""}))
        == []
    )


@pytest.mark.parametrize(
    ("files", "row"),
    [
        ({".dockerignore": "# x\nhelpers.py\n"}, (".dockerignore", 2)),
        ({".gcloudignore": "helpers.py\n"}, (".gcloudignore", 1)),
    ],
)
def test_the_rule_that_drops_a_needed_file_is_the_place(tmp_path: Path, files: Files, row: tuple[str, int]) -> None:
    project = {"Dockerfile": f"{_ALL}CMD gunicorn main:app\n", "main.py": f"import helpers\n{APP}", "helpers.py": ""}
    report = report_of(tmp_path, {**project, **files})

    assert rows_of(report) == [("BG704", *row)]
    assert "main.py:1 imports helpers" in report.diagnostics[0].message


def test_the_settings_of_django_are_needed(tmp_path: Path) -> None:
    manage = "import os\ndef main():\n    os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\nmain()\n"
    files = {
        "Dockerfile": f"{_ALL}CMD python manage.py runserver 0.0.0.0:8080\n",
        "manage.py": manage,
        "shop/__init__.py": "",
        "shop/settings.py": "",
        ".dockerignore": "shop/settings.py\n",
    }

    assert rows_of(report_of(tmp_path, files)) == [("BG704", ".dockerignore", 1)]


@pytest.mark.parametrize(
    ("command", "wsgi", "count"),
    [
        ("gunicorn back.shop.wsgi", "", 1),
        ("gunicorn --chdir back shop.wsgi", "", 0),
        ("gunicorn back.shop.wsgi", "import sys\nsys.path.append('back')\n", 0),
    ],
)
def test_settings_of_a_folder_that_is_not_searched(tmp_path: Path, command: str, wsgi: str, count: int) -> None:
    setting = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\napplication = 1\n"
    files = {
        "Dockerfile": f"{_ALL}CMD {command}\n",
        "back/shop/__init__.py": "",
        "back/shop/settings.py": "",
        "back/shop/wsgi.py": wsgi + setting,
    }
    report = report_of(tmp_path, files)

    assert rows_of(report) == [("BG701", "back/shop/wsgi.py", 2)] * count
    assert all("shop.settings, and it does not exist in /srv" in item.message for item in report.diagnostics)


@pytest.mark.parametrize(("module", "count"), [("shop.web:app", 0), ("shop.web:nope", 1), ("nothing.web:app", 0)])
def test_an_app_yaml_beside_a_package(tmp_path: Path, module: str, count: int) -> None:
    entry = f"runtime: python312\nentrypoint: gunicorn -b :$PORT {module}\n"
    files = {"app.yaml": entry, "requirements.txt": "flask\ngunicorn\n", "shop/web.py": APP}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    assert rows_of(check_startup(FolderStage(tmp_path), None, Config())) == [("BG701", "app.yaml", 2)] * count


def test_a_stage_hands_on_what_it_has(tmp_path: Path) -> None:
    build = "FROM python:3.11 AS build\nWORKDIR /src\nCOPY main.py requirements.txt ./\nFROM python:3.11-slim\nCOPY --from=build /src /srv\nWORKDIR /srv\n"
    files = {"main.py": f"import helpers\n{APP}", "helpers.py": ""}

    assert rows_of(report_of(tmp_path, {"Dockerfile": f"{build}{_INSTALL}CMD gunicorn main:app\n", **files})) == [
        ("BG704", "Dockerfile", 5)
    ]


@pytest.mark.parametrize(
    ("main", "rows"),
    [
        (f"{APP}app.run()\n", [("BG705", "main.py", 4)]),
        (f"{APP}if __name__ == '__main__':\n    app.run(debug=True)\n", [("BG705", "main.py", 5)]),
        (f"{APP}def main():\n    app.run()\nif __name__ == '__main__':\n    main()\n", [("BG705", "main.py", 5)]),
        ("import uvicorn\nuvicorn.run('main:app', port=8080)\napp = 1\n", [("BG705", "main.py", 2)]),
        ("import http.server as h\nh.HTTPServer(('127.0.0.1', 8080), H)\n", [("BG705", "main.py", 2)]),
        ("import http.server as h\nh.HTTPServer(('127.0.0.1', 9100), H)\n", []),  # metrics, beside what is not seen
        (
            "import uvicorn, http.server as h\nh.HTTPServer(('127.0.0.1', 8080), H)\nuvicorn.run(a, host='::', port=8080)\n",
            [],
        ),
        (f"{APP}app.run(host='0.0.0.0', port=5000)\n", [("BG705", "main.py", 4)]),
        (f"import os\n{APP}app.run(host='0.0.0.0', port=int(os.environ['PORT']))\n", []),
        (f"{APP}app.run('0.0.0.0', 8080)\n", []),
        (f"{APP}app.run(host=HOST, port=PORT)\n", []),
        (f"{APP}def unused():\n    app.run()\n", []),
        ("bot = Bot()\nbot.run()\n", []),
    ],
)
def test_a_server_that_a_script_starts(tmp_path: Path, main: str, rows: list[tuple[str, str, int]]) -> None:
    files = {"Dockerfile": f"{_ALL}CMD python main.py\n", "main.py": main, "cloudbuild.yaml": _DEPLOY.format("")}

    assert rows_of(report_of(tmp_path, files)) == rows


_SERVICE = """apiVersion: serving.knative.dev/v1
kind: Service
spec:
  template:
    spec:
      containers:
      - image: img
        ports:
        - containerPort: 9000
{}"""


@pytest.mark.parametrize(
    ("port", "files", "count"),
    [
        ("8000", {}, 0),
        ("8000", {"cloudbuild.yaml": _DEPLOY.format("")}, 1),
        ("8000", {"cloudbuild.yaml": _DEPLOY.format(", --port, '8000'")}, 0),
        ("8000", {"cloudbuild.yaml": _DEPLOY.format(", --port=$_PORT")}, 0),
        ("8080", {"cloudbuild.yaml": _DEPLOY.format("")}, 0),
        ("8000", {"cloudbuild.yaml": _DEPLOY.format(""), "run.tf": "ports { container_port = 8000 }"}, 0),
        ("9000", {"service.yaml": _SERVICE.format("")}, 0),
        ("8080", {"service.yaml": _SERVICE.format("")}, 1),
        ("8080", {"service.yaml": _SERVICE.format("      - image: proxy\n")}, 0),
        ("8000", {"cloudbuild.yaml": _DEPLOY.format("").replace("deploy", "jobs, deploy")}, 0),
    ],
)
def test_a_literal_port_counts_against_the_known_one(tmp_path: Path, port: str, files: Files, count: int) -> None:
    dockerfile = {"Dockerfile": f'{_ALL}CMD ["gunicorn", "-b", ":{port}", "main:app"]\n'}

    assert rows_of(report_of(tmp_path, {**dockerfile, **files})) == [("BG705", "Dockerfile", 5)] * count


@pytest.mark.parametrize(
    "text",
    [
        "FROM python:3.11\nRUN pip install gunicorn\nCMD gunicorn -c conf.py main:app\n",  # a mount brings the files
        f'{_HEAD}RUN mkdir /resources\nCOPY main.py requirements.txt ./\nCOPY start.sh /resources\n{_INSTALL}ENTRYPOINT ["/resources/start.sh"]\n',
        f'{_HEAD}RUN tar -C / -xf s6.tar\nCOPY main.py .\nENTRYPOINT ["/init"]\n',
        (
            "FROM python:3.11 AS b\nWORKDIR /app\nCOPY . .\nRUN pip install --target=/app/deps -r requirements.txt\n"
            "FROM python:3.11\nWORKDIR /app\nCOPY --from=b /app .\nENV PATH=/app/deps/bin:$PATH\nCMD exec gunicorn -b :$PORT main:app\n"
        ),
    ],
)
def test_what_public_repositories_taught(tmp_path: Path, text: str) -> None:
    script = "#!/bin/sh\nexec gunicorn -b :$PORT main:app\n"

    assert rows_of(report_of(tmp_path, {"Dockerfile": text, "start.sh": script}, executable=("start.sh",))) == []


def test_a_manage_file_may_set_another_address(tmp_path: Path) -> None:
    files = {
        "Dockerfile": f"{_ALL}CMD python manage.py runserver\n",
        "manage.py": "runserver.default_addr = '0.0.0.0'\n",
    }

    assert rows_of(report_of(tmp_path, files)) == []


def test_a_service_sets_its_own_command(tmp_path: Path) -> None:
    own = _SERVICE.format('        command: ["gunicorn", "-b", ":9000"]\n        args: ["main:missing"]\n')
    dockerfile = f'{_ALL}CMD ["gunicorn", "-b", ":9000", "main:nothing"]\n'
    flag = _DEPLOY.format(", --command, other")

    assert rows_of(report_of(tmp_path / "a", {"Dockerfile": dockerfile, "service.yaml": own})) == [
        ("BG701", "service.yaml", 10)
    ]
    assert rows_of(report_of(tmp_path / "b", {"Dockerfile": dockerfile, "cloudbuild.yaml": flag})) == []


def test_a_proxy_in_the_container_may_reach_a_loopback_address(tmp_path: Path) -> None:
    dockerfile = f"{_HEAD}RUN apt-get install nginx && pip install gunicorn\nCOPY . .\nCMD nginx && gunicorn -b 127.0.0.1:8000 main:app\n"

    assert rows_of(report_of(tmp_path, {"Dockerfile": dockerfile})) == []


_KEY = '{"type": "service_account", "private_key": "-----BEGIN PRIVATE KEY-----\\nhidden-text\\n-----END PRIVATE KEY-----"}'


@pytest.mark.parametrize(
    ("path", "content", "count"),
    [
        ("sa-key.json", _KEY, 1),
        ("keys/server.pem", "-----BEGIN RSA PRIVATE KEY-----\nhidden-text\n", 1),
        (".env", "API_KEY=hidden-text-1234\n", 1),
        (".env.production", "export DB_PASSWORD='hidden-text-1234'\n", 1),
        (".env", "DEBUG=1\nAPI_KEY=changeme\nTOKEN=\n", 0),
        (".env", "API_KEY=sk-XXXXXXXXXXXXXXXX\nAUTH_TOKEN=put-token-here\n", 0),
        (".env.example", "API_KEY=hidden-text-1234\n", 0),
        ("tests/sa-key.json", _KEY, 0),
        ("server.pem", "-----BEGIN CERTIFICATE-----\n", 0),
        ("config.json", "{}", 0),
    ],
)
def test_secrets_are_reported_and_never_shown(tmp_path: Path, path: str, content: str, count: int) -> None:
    report = report_of(tmp_path, {"Dockerfile": f"{_ALL}CMD gunicorn main:app\n", path: content})

    assert [(row[0], row[1]) for row in rows_of(report)] == [("BG708", path)] * count
    assert "hidden-text" not in str(report)
    assert all(item.severity is Severity.WARNING for item in report.diagnostics)


def test_a_secret_that_is_not_copied_is_none_of_the_images(tmp_path: Path) -> None:
    files = {
        "Dockerfile": f"{_HEAD}COPY main.py requirements.txt ./\n{_INSTALL}CMD gunicorn main:app\n",
        "sa-key.json": _KEY,
    }

    assert rows_of(report_of(tmp_path, files)) == []


def test_a_pointer_of_lfs_that_reaches_the_image(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 9\n"
    attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
    files = {"Dockerfile": f"{_ALL}CMD gunicorn main:app\n", ".gitattributes": attributes, "model.bin": pointer}

    assert rows_of(report_of(tmp_path, files)) == [("BG707", "model.bin", None)]


def test_what_cannot_be_decided_is_counted(tmp_path: Path) -> None:
    report = report_of(tmp_path, {"Dockerfile": f"{_ALL}CMD gunicorn $APP\n"})

    assert report.diagnostics == ()
    assert report.undecided == ("Dockerfile:5: the application '$APP' of gunicorn is not understood",)


_SOURCE = "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [run, deploy, svc, --source, .]\n"


_FUNCTION = (
    "steps:\n- name: gcr.io/cloud-builders/gcloud\n  args: [functions, deploy, f, --entry-point, handle, --source, .]\n"
)


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        ({}, []),
        ({"Procfile": "web: gunicorn -b :$PORT main:app\n"}, []),
        ({"Procfile": "web: gunicorn -b :$PORT main:server\n"}, [("BG701", "Procfile", 1)]),
        ({"Procfile": "worker: x\nweb: gunicorn -b :$PORT shop.web:app\n"}, [("BG701", "Procfile", 2)]),
        ({"Procfile": "web: gunicorn -b 127.0.0.1:$PORT main:app\n"}, [("BG705", "Procfile", 1)]),
        ({"main.py": "server = 1\n"}, [("BG701", "main.py", None)]),
        ({"app.yaml": "env: x\nentrypoint: gunicorn -b :$PORT main:x\n"}, []),  # App Engine's alone
        (
            {
                "app.yaml": "env: x\nentrypoint: gunicorn -b :$PORT main:x\n",
                "project.toml": '[[build.env]]\nname = "GAE_APPLICATION_YAML_PATH"\nvalue = "app.yaml"\n',
            },
            [("BG701", "app.yaml", 2)],
        ),
        ({"Procfile": "worker: python main.py\n"}, [("BG701", "Procfile", 1)]),
        (
            {"cloudbuild.yaml": "", "app.yaml": "runtime: python311\nentrypoint: gunicorn -b :$PORT main:x\n"},
            [("BG701", "app.yaml", 2)],
        ),
        (
            {"cloudbuild.yaml": "", "app.yaml": "runtime: python311\n", "main.py": "server = 1\n"},
            [("BG701", "main.py", None)],
        ),
        ({"cloudbuild.yaml": "", "Procfile": "web: gunicorn main:x\n"}, [("BG701", "Procfile", 1)]),
        ({"cloudbuild.yaml": "", "Procfile": "web: gunicorn -b :5000 main:app\n"}, []),
        ({"cloudbuild.yaml": "", "Procfile": "worker: python main.py\n"}, []),  # another platform's
        (
            {"cloudbuild.yaml": _FUNCTION, "main.py": "def handle(request): pass\n"},
            [],
        ),
        ({"cloudbuild.yaml": _FUNCTION}, [("BG701", "cloudbuild.yaml", 3)]),
        (
            {
                "pyproject.toml": '[project]\nname = "x"\n[project.scripts]\nserve = "main:run"\n',
                "requirements.txt": "",
            },
            [],
        ),
    ],
)
def test_the_start_of_a_buildpack(tmp_path: Path, files: Files, rows: list[tuple[str, str, int | None]]) -> None:
    assert rows_of(report_of(tmp_path, {"cloudbuild.yaml": _SOURCE, **files})) == rows


def test_no_start_command_at_all(tmp_path: Path) -> None:
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc/tool.py").write_text("")
    build = _SOURCE.replace("--source, .", "--source, svc")
    report = report_of(tmp_path, {"cloudbuild.yaml": build})

    assert rows_of(report) == [("BG701", "cloudbuild.yaml", 3)]
    assert "no start command" in report.diagnostics[0].message


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        # gcloud reads the rules of the folder that it sends
        (
            {"cloudbuild.yaml": _SOURCE.replace("--source, .", "--source, svc"), "svc/.gcloudignore": "helpers.py\n"},
            ("svc/.gcloudignore", 1),
        ),
        (
            {"cloudbuild.yaml": _SOURCE.replace("--source, .", "--source, svc"), ".gcloudignore": "svc/helpers.py\n"},
            (".gcloudignore", 1),
        ),
        (
            {"svc/Procfile": "web: gunicorn main:app\n", "svc/.gcloudignore": "x\nhelpers.py\n"},
            ("svc/.gcloudignore", 2),
        ),
        ({"svc/Procfile": "web: gunicorn main:app\n", ".gcloudignore": "svc/helpers.py\n"}, None),
        (
            {"svc/Dockerfile": _ALL + "CMD gunicorn main:app\n", "svc/.gcloudignore": "helpers.py\n"},
            ("svc/.gcloudignore", 1),
        ),
    ],
)
def test_the_rules_of_a_folder_that_is_sent_alone(
    tmp_path: Path, files: Files, expected: tuple[str, int] | None
) -> None:
    own = {"svc/main.py": f"import helpers\n{APP}", "svc/helpers.py": "", "svc/requirements.txt": "gunicorn\nflask\n"}
    report = report_of(tmp_path, {**own, **files})
    found = [(item.path, item.range.line) for item in report.diagnostics if item.code == "BG704"]

    assert found == ([expected] if expected is not None else [])


def test_sources_that_compose_mounts_are_undecided(tmp_path: Path) -> None:
    dockerfile = 'FROM python:3.11-slim\nWORKDIR /code\nCOPY requirements.txt run.sh ./\nENTRYPOINT ["/code/run.sh"]\n'
    compose = "services:\n  web:\n    build: .\n    volumes: ['.:/code']\n"
    files = {"Dockerfile": dockerfile, "run.sh": "#!/bin/sh\nexec python main.py\n"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()

    alone = report_of(tmp_path / "a", files, executable=("run.sh",))
    built = {**files, "compose.yaml": compose.partition("    volumes")[0]}
    unmounted = report_of(tmp_path / "b", built, executable=("run.sh",))
    mounted = report_of(tmp_path, {**files, "compose.yaml": compose}, executable=("run.sh",))

    assert [row[0] for row in rows_of(alone)] == ["BG704"]
    assert [row[0] for row in rows_of(unmounted)] == ["BG704"]
    assert rows_of(mounted) == []
    assert any("compose.yaml:3 may mount it" in each for each in mounted.undecided)


_RUN = "import uvicorn\n\nif __name__ == '__main__':\n    uvicorn.run({}, host='0.0.0.0', port=8080)\n"
_PACKAGE: Files = {
    "app/__init__.py": "",
    "app/web.py": "from app.routes import api\n\napp = api\n",
    "app/routes.py": "api = 1\n",
}


@pytest.mark.parametrize(
    ("changes", "rows"),
    [
        ({"run.py": _RUN.format("'app.web:app'")}, []),
        ({"run.py": _RUN.format("app='app.web:app'")}, []),
        ({"run.py": "import uvicorn\nfrom app.web import app\nuvicorn.run(app, host='0.0.0.0', port=8080)\n"}, []),
        ({"run.py": _RUN.format("'app.wbe:app'")}, [("BG701", "run.py", 4)]),
        ({"run.py": _RUN.format("'app.web:application'")}, [("BG701", "run.py", 4)]),
        ({"run.py": _RUN.format("'app.web:create', factory=True")}, [("BG701", "run.py", 4)]),
        ({"run.py": "from uvicorn import Config\nConfig('app.wbe:app', host='0.0.0.0', port=8080)\n"}, [("BG701", "run.py", 2)]),
        ({"run.py": "import granian\ngranian.Granian('app.wbe:app', address='0.0.0.0', port=8080)\n"}, [("BG701", "run.py", 2)]),
        ({"run.py": "import runpy\nrunpy.run_module('app.wbe', run_name='__main__')\n"}, [("BG701", "run.py", 2)]),
        ({"run.py": "def main():\n    import uvicorn\n    uvicorn.run('app.wbe:app', host='0.0.0.0')\nmain()\n"}, [("BG701", "run.py", 3), ("BG705", "run.py", 3)]),
        ({"run.py": _RUN.format("'app.web:app'"), "app/web.py": "from app.lost import app\n", ".dockerignore": "app/lost.py\n", "app/lost.py": "app = 1\n"}, [("BG704", ".dockerignore", 1)]),
    ],
)  # fmt: skip
def test_an_application_that_a_script_names_is_loaded(
    tmp_path: Path, changes: Files, rows: list[tuple[str, str, int]]
) -> None:
    files: Files = {
        "Dockerfile": f'{_ALL}CMD ["python", "run.py"]\n',
        "cloudbuild.yaml": _DEPLOY.format(""),
        **_PACKAGE,
    }

    report = report_of(tmp_path, {**files, **changes})

    assert [row for row in rows_of(report) if row[0] != "BG705"] == [row for row in rows if row[0] != "BG705"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (_RUN.format("f'{NAME}:app'"), "the name that uvicorn loads is computed"),
        (_RUN.format("'a b:app'"), "the application 'a b:app' of uvicorn is not understood"),
        (f"import sys\nsys.path.insert(0, FOLDER)\n{_RUN.format(repr('wbe:app'))}", "run.py changes sys.path"),
    ],
)
def test_an_application_that_only_running_can_name_is_undecided(tmp_path: Path, script: str, words: str) -> None:
    files: Files = {"Dockerfile": f'{_ALL}CMD ["python", "run.py"]\n', **_PACKAGE, "run.py": script}

    report = report_of(tmp_path, files)

    assert rows_of(report) == []
    assert any(words in each for each in report.undecided)


def test_a_module_that_python_runs_names_its_application_too(tmp_path: Path) -> None:
    files: Files = {"Dockerfile": f'{_ALL}CMD ["python", "-m", "app"]\n', **_PACKAGE}

    report = report_of(tmp_path, {**files, "app/__main__.py": _RUN.format("'app.wbe:app'")})

    assert rows_of(report) == [("BG701", "app/__main__.py", 4)]


_PINNED = "fastapi==0.110.0\nflask==3.0.0\ngunicorn==21.2.0\n"


@pytest.mark.parametrize(
    ("worker", "requirements", "rows"),
    [
        ("uvicorn.workers.UvicornWorker", _PINNED, ["BG701"]),
        ("uvicorn.workers.UvicornWorker", f"{_PINNED}uvicorn==0.29.0\n", []),
        ("gevent", _PINNED, ["BG701"]),
        ("gevent", f"{_PINNED}gevent==24.2.1\n", []),
        ("gevent", _PINNED.replace("gunicorn", "gunicorn[gevent]"), []),
        ("gevent", f"{_PINNED}locust\n", []),  # may bring it
        ("gthread", _PINNED, []),
        ("uvicorn_worker.UvicornWorker", _PINNED, []),  # a package of its own
        ("pkg.workers.Worker", _PINNED, []),
        ("pkg.workers.Other", _PINNED, ["BG701"]),
        ("pkg.lost.Worker", _PINNED, ["BG701"]),
    ],
)
def test_the_workers_of_gunicorn(tmp_path: Path, worker: str, requirements: str, rows: list[str]) -> None:
    text = f"{_HEAD}COPY requirements.txt .\n{_INSTALL}COPY . .\nCMD gunicorn -k {worker} -b :$PORT main:app\n"
    files = {
        "Dockerfile": text,
        "requirements.txt": requirements,
        "pkg/__init__.py": "",
        "pkg/workers.py": "Worker = 1\n",
    }

    assert [row[0] for row in rows_of(report_of(tmp_path, files))] == rows


@pytest.mark.parametrize(
    ("files", "rows"),
    [
        ({}, [("BG701", "Dockerfile", 5)]),
        ({"log.yaml": "version: 1\n"}, []),
        ({"log.yaml": "version: 1\n", ".dockerignore": "*.yaml\n"}, [("BG704", ".dockerignore", 1)]),
        ({".gitignore": "log.yaml\n"}, []),
    ],
)
@pytest.mark.parametrize("option", ["--log-config", "--env-file"])
def test_a_file_that_uvicorn_cannot_do_without(
    tmp_path: Path, option: str, files: Files, rows: list[tuple[str, str, int]]
) -> None:
    command = f'CMD ["uvicorn", "{option}", "log.yaml", "--host", "0.0.0.0", "--port", "8080", "main:app"]\n'

    report = report_of(tmp_path, {"Dockerfile": _ALL + command, **files})

    assert rows_of(report) == rows


@pytest.mark.parametrize(
    ("copies", "rows"), [("", ["BG701"]), ("COPY --from=build /deps /deps\nENV PATH=/deps/bin:$PATH\n", [])]
)
def test_what_only_an_unused_stage_installs(tmp_path: Path, copies: str, rows: list[str]) -> None:
    build = "FROM python:3.11 AS build\nCOPY requirements.txt .\nRUN pip install --target /deps -r requirements.txt\n"
    text = f"{build}{_HEAD}{copies}COPY . .\nCMD gunicorn -b :$PORT main:app\n"

    assert [row[0] for row in rows_of(report_of(tmp_path, {"Dockerfile": text}))] == rows


@pytest.mark.parametrize("name", ["wsgi.py", "app.py"])
def test_a_file_behind_a_link_may_be_the_application_of_flask(tmp_path: Path, name: str) -> None:
    text = f"{_HEAD}COPY site /srv\nCOPY requirements.txt .\n{_INSTALL}CMD flask run --host=0.0.0.0 --port=$PORT\n"
    files = {"Dockerfile": text, "site/app.py": "from flask import Flask\nother = 1\n", "real/wsgi.py": APP}
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / name).symlink_to("../real/wsgi.py")

    report = report_of(tmp_path, {path: content for path, content in files.items() if path != f"site/{name}"})

    assert rows_of(report) == []
    assert report.undecided


_BUILD_STEP = "steps:\n- name: gcr.io/cloud-builders/docker\n  args: [build, -t, img, -f, {}, .]\n"
_DEPLOY_STEP = "- name: gcr.io/google.com/cloudsdktool/cloud-sdk\n  entrypoint: gcloud\n  args: [run, deploy, svc, --image, img, {}]\n"
_SETS = "--command, gunicorn, '--args=-b,0.0.0.0:8080,{}'"
_MIAN = ("BG701", "cloudbuild.yaml", 6)


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (_SETS.format("main:app"), []),
        (_SETS.format("mian:app"), [_MIAN]),
        (_SETS.format("main:other"), [_MIAN]),
        ("--command=gunicorn, --args, '^;^-b;0.0.0.0:8080;mian:app'", [_MIAN]),
        ("'--args=gunicorn,-b,127.0.0.1:8080,main:app'", [("BG705", "cloudbuild.yaml", 6)]),
        (_SETS.format("$_APP"), []),
        ("--region, r", [("BG701", "Dockerfile", 4)]),
    ],
)
@pytest.mark.parametrize("others", [{}, {"b/Dockerfile": "FROM python:3.11-slim\nCOPY . .\nCMD python main.py\n"}])
def test_a_deploy_sets_the_command(
    tmp_path: Path, flags: str, found: list[tuple[str, str, int]], others: dict[str, str]
) -> None:
    """Cloud Run starts what the deploy names, and the image's own command is never run."""
    docker = "FROM python:3.11-slim\nCOPY . .\nRUN pip install -r requirements.txt\nCMD gunicorn -b :$PORT gone:app\n"
    steps = _BUILD_STEP.format("a/Dockerfile") + _DEPLOY_STEP.format(flags)
    report = report_of(tmp_path, {"a/Dockerfile": docker, "cloudbuild.yaml": steps, **others})

    expected = [(code, path.replace("Dockerfile", "a/Dockerfile"), line) for code, path, line in found]
    assert [row for row in rows_of(report) if row[1] != "b/Dockerfile"] == expected


def test_two_deploys_of_a_file_may_set_any_command(tmp_path: Path) -> None:
    docker = "FROM python:3.11-slim\nCOPY . .\nRUN pip install -r requirements.txt\nCMD gunicorn -b :$PORT gone:app\n"
    deploys = _DEPLOY_STEP.format(_SETS.format("mian:app")) + _DEPLOY_STEP.format("--region, r")
    files = {"Dockerfile": docker, "cloudbuild.yaml": _BUILD_STEP.format("Dockerfile") + deploys}
    report = report_of(tmp_path, files)

    assert rows_of(report) == []
    assert report.undecided
