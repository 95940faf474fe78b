"""What a library raises becomes an error of ours, and keeps its cause; what ends the program does not."""

from __future__ import annotations

import pytest

from buildguard.errors import UnprovenError
from buildguard.system.foreign import translate_foreign


def _ours(error: Exception) -> UnprovenError:
    return UnprovenError(f"the library: {error}")


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError("x"), Exception("x")])
def test_whatever_it_is_becomes_an_error_of_ours(error: Exception) -> None:
    with pytest.raises(UnprovenError, match="the library: x") as raised, translate_foreign(_ours):
        raise error

    assert raised.value.__cause__ is error


def test_ctrl_c_stays_ctrl_c() -> None:
    with pytest.raises(KeyboardInterrupt), translate_foreign(_ours):
        raise KeyboardInterrupt
