"""Programs that are sent to other Pythons: the same text whichever Python puts them together, and legal for each that may run them."""

from __future__ import annotations

import functools
import json
import subprocess

import pytest

from tests.conftest import REPOSITORY, VERSIONS, interpreter

_HOSTS = [version for version in VERSIONS if tuple(map(int, version.split("."))) >= (3, 11)]
# by the standard library alone, so that any interpreter at hand can be a host
_GENERATE = """
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
from buildguard.engines import cloud_driver_script as text
from buildguard.engines import verify_interpreter as witness
from buildguard.project.cloudbuild import guard_step as file
driver = text.arguments(0, 0, 1, [source.data for source in witness.verification_sources()])
programs = {
    "driver": text.driver((b"x = '\\\\n'",)),
    "driver's loader": driver[driver.index("-c") + 1],
    "driver's pieces": "".join(driver[driver.index("-c") + 4 :]).replace("$$", "$"),
    "step file": file.text([], []).decode(),
    "step file's loader": file.loader(b"x"),
    "probe": witness.probe_text(),
    "what reads imports": witness.facts_text().decode(),
}
for name in ("relay", "ast_compare"):
    programs[name] = pathlib.Path(sys.argv[1], "buildguard/remote", name + ".py").read_text("utf-8")
json.dump(programs, sys.stdout)
"""
_COMPILE = """
import json, sys
for name, text in sorted(json.load(sys.stdin).items()):
    try:
        compile(text, name, "exec")
    except SyntaxError as error:
        print(name, error)
"""


@functools.cache
def _generated(host: str) -> bytes:
    words = ["-I", "-S", "-B", "-c", _GENERATE, str(REPOSITORY)]
    done = subprocess.run([interpreter(host), *words], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_every_program_compiles_wherever_it_may_run(version: str) -> None:
    """What one host puts together: the others put together the same."""
    words, programs = ["-I", "-S", "-B", "-c", _COMPILE], _generated(_HOSTS[0])
    done = subprocess.run([interpreter(version), *words], input=programs, capture_output=True, check=True)

    assert len(json.loads(programs)) == 9
    assert done.stdout.decode() == ""


@pytest.mark.interpreters
@pytest.mark.parametrize("host", _HOSTS)
def test_every_host_puts_the_same_text_together(host: str) -> None:
    assert json.loads(_generated(host)) == json.loads(_generated(_HOSTS[0]))
