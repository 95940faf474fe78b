"""Libraries that promise no types for what they raise: whatever it is, it becomes an error of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def translate_foreign(translate: Callable[[Exception], Exception]) -> Iterator[None]:
    """Whatever a library raises inside, as the error that `translate` makes of it."""
    try:
        yield
    except Exception as error:
        raise translate(error) from error
