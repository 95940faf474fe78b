"""What looks like a secret is masked, and what only names one is not."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import pytest

from buildguard.diagnose.redact import redact
from tests.conftest import Project

_SECRET = "hunter2-and-more"


@pytest.mark.parametrize(
    "text",
    [
        f"connecting with password={_SECRET}",
        f"DB_PASSWORD='{_SECRET}'",
        f'{{"api_key": "{_SECRET}"}}',
        f"postgresql://shop:{_SECRET}@db:5432/shop",
        f"Authorization: Bearer {_SECRET}",
        f"  Input should be a valid integer [type=int_parsing, input_value='{_SECRET}', input_type=str]",
        f"SECRET_KEY: {_SECRET}",
        f"https://x.example/?access_token={_SECRET}&a=1",
    ],
)
def test_a_value_is_masked(text: str) -> None:
    """The value goes, its length and what stands around it stay."""
    masked = redact(text)

    assert _SECRET not in masked
    assert len(masked) == len(text)
    assert masked.startswith(text[:4])


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a1" * 18,
        "AKIA" + "ABCD1234" * 2,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_a_token_is_masked_wherever_it_is(text: str) -> None:
    """Tokens and keys of known forms."""
    assert set(redact(f"{text}").replace("\n", "")) == {"\u2022"}


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'API_TOKEN'",
        "the environment variable API_TOKEN is not set",
        "gcloud run services update web --update-secrets API_TOKEN=API_TOKEN:latest",
        'TOKEN = os.environ["API_TOKEN"]',
        "Permission denied on secret: projects/1/secrets/db-password/versions/latest",
        "FATAL:  password authentication failed for user shop",
        "gcloud run services update SERVICE --update-env-vars DB_PASSWORD=VALUE",
        "secret: not found",
        "password=$DB_PASSWORD",
        "token = read_token(path)",
    ],
)
def test_a_name_is_no_secret(text: str) -> None:
    """Names, commands and code stay as they are."""
    assert redact(text) == text


@pytest.mark.parametrize("form", ["text", "json", "markdown"])
def test_no_rendering_has_a_secret(repository: Callable[..., Project], form: str) -> None:
    """Neither stdout nor a file; and what is written is for its owner alone."""
    project = repository({"main.py": f'PASSWORD = "{_SECRET}"\nraise ValueError(PASSWORD)\n'})
    project.write(
        {
            "log": f'Traceback (most recent call last):\n  File "main.py", line 2, in <module>\n    raise ValueError(PASSWORD)\n'
            f"ValueError: no login at postgresql://shop:{_SECRET}@db/shop\n"
        }
    )

    run = project.run("diagnose", "--log", "log", "--format", form, "--output", "out", "--html", "page.html")

    assert run.code in {1, 3}, run.err
    for name in ("out", "page.html"):
        assert _SECRET not in (project.path / name).read_text("utf-8")
        assert stat.S_IMODE(os.stat(project.path / name).st_mode) == 0o600
