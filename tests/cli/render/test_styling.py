"""Styled text is what click makes of it."""

from __future__ import annotations

from typing import Any

import click
import pytest

from buildguard.cli.render.styling import style, unstyle


@pytest.mark.parametrize(
    "attributes", [{}, {"bold": True}, {"fg": "red"}, {"fg": "green", "bold": True}, {"fg": "yellow"}]
)
def test_a_style_is_written_as_click_writes_it(attributes: dict[str, Any]) -> None:
    styled = style("x", **attributes)

    assert styled == click.style("x", **attributes)
    assert unstyle(f"a {styled}\033[1;31mb") == click.unstyle(f"a {styled}\033[1;31mb")
    assert unstyle("plain") == "plain"
