"""Which commands of a script run, as far as its arguments decide it: a real shell is the judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from buildguard.project.shell import split_commands
from buildguard.project.shell_branches import decided
from tests.startup.projects import report_of, rows_of

_DECIDED = [
    'if [ "$1" = "web" ]; then\n  echo yes\nfi\necho end\n',
    'if [ "$1" = "web" ]\nthen echo yes\nelse echo no\nfi\n',
    'if [ "$1" != "web" ]; then echo no; else echo yes; fi; echo end\n',
    "if [ $# -eq 0 ]; then echo none; else echo some; fi\n",
    'if [ "$#" -gt 0 ]; then echo some; fi\necho end\n',
    'if [ -z "$1" ]; then echo none; fi\n',
    'if [ -n "$1" ]; then echo some; fi\nif [ "$2" = "b" ]; then echo b; fi\n',
    "if true; then echo yes; fi\nif false; then echo no; else echo else; fi\n",
    'set -e\nif [ "$1" == "web" ]; then echo yes; fi\n',
    'case "$1" in\n  web) echo yes ;;\n  other|more)\n    echo other\n    echo twice\n    ;;\n  *) echo no ;;\nesac\necho end\n',
    'case $1 in (w*) echo w;; ("") echo none;; esac\n',
    'case "${1:-web}" in web) echo yes;; o[st]*) echo o;; esac; echo end\n',
    "case \"$1\" in 'web' ) echo yes && echo too;; esac\n",
    'if [ "${1:-web}" = "web" ]; then echo yes; fi\n',
]
_OPEN = [
    'if [ "$MODE" = "web" ]; then echo yes; fi\n',
    'if [ "${1#-}" != "$1" ]; then echo yes; fi\n',
    "if [ -f /app/x ]; then echo yes; fi\n",
    'if [ "$1" = "web" ] && true; then echo yes; fi\n',
    'if [ "$1" = "web" ]; then echo yes; elif true; then echo no; fi\n',
    'if [ "$1" = "web" ]; then if true; then echo yes; fi; fi\n',
    'set -- other\nif [ "$1" = "web" ]; then echo yes; fi\n',
    'shift\nif [ "$1" = "web" ]; then echo yes; fi\n',
    "if ! true; then echo yes; fi\n",
    'if [[ "$1" == w* ]]; then echo yes; fi\n',
    "if [ $1 = web ]; then echo yes; fi || echo no\n",
    'case "$MODE" in web) echo yes;; esac\n',
    'case "$1" in "$MODE") echo yes;; esac\n',
    'case "$1" in other) ;; web) echo yes;; esac\n',
    'case "$1" in other)\n;;\nweb) echo yes\n;; esac\n',
    'case "$1" in web) if true; then echo yes; fi;; esac\n',
    'case "$1" in web) case "$2" in *) echo yes;; esac;; esac\n',
    'case "$1" in "w*") echo yes;; esac\n',
    'case "$1" in @(web|x)) echo yes;; esac\n',
    'case "$1" in web) (echo yes);; esac\n',
    'case "$1" in web) echo yes;; esac | cat\n',
    'shift\ncase "$1" in web) echo yes;; esac\n',
]  # fmt: skip


@pytest.mark.interpreters
@pytest.mark.parametrize("arguments", [[], ["web"], ["web", "b"], ["other"]])
@pytest.mark.parametrize("text", _DECIDED)
def test_a_real_shell_runs_these_commands(text: str, arguments: list[str]) -> None:
    commands = decided(split_commands(text), arguments)
    printed = subprocess.run(["bash", "-c", text, "bash", *arguments], capture_output=True, check=False).stdout

    assert not any(command.in_block for command in commands)
    assert [command.words[1] for command in commands if command.words[0] == "echo"] == printed.decode().split()


@pytest.mark.parametrize("text", _OPEN)
def test_what_the_arguments_do_not_decide_stays(text: str) -> None:
    commands = split_commands(text)
    kept = decided(commands, ["web"])

    assert any(command.words[0] in {"if", "case"} for command in kept)


def test_the_lines_stay() -> None:
    commands = decided(split_commands('set -e\nif [ "$1" = "web" ]; then\n  exec "$@"\nfi\necho no\n'), ["web"])

    assert [(command.line, command.words[0]) for command in commands] == [(1, "set"), (3, "exec"), (5, "echo")]


@pytest.mark.parametrize(
    ("script", "is_certain"),
    [
        ('set -e\nif [ "$1" = "gunicorn" ]; then\n  exec "$@"\nfi\necho no\n', True),
        ('if [ $# -eq 0 ]; then\n  exec gunicorn main:app\nelse\n  exec "$@"\nfi\n', True),
        ('if [ "$MODE" = "web" ]; then\n  exec "$@"\nfi\nexec gunicorn main:app\n', False),
    ],
)
def test_a_start_behind_a_condition(tmp_path: Path, script: str, *, is_certain: bool) -> None:
    text = (
        "FROM python:3.12-slim\nWORKDIR /srv\nCOPY . .\nRUN pip install -r requirements.txt\n"
        'ENTRYPOINT ["sh", "entry.sh"]\nCMD ["gunicorn", "-b", ":8080", "mian:app"]\n'
    )
    files = {"Dockerfile": text, "main.py": "app = 1\n", "requirements.txt": "gunicorn\n", "entry.sh": script}
    report = report_of(tmp_path, files)

    assert [row[0] for row in rows_of(report)] == (["BG701"] if is_certain else [])
    assert bool(report.undecided) is not is_certain
