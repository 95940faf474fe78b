"""Records and patterns that cost next to nothing to define: a commit hook defines hundreds, and uses few of them."""

from __future__ import annotations

import re
from collections import namedtuple
from typing import TYPE_CHECKING, Any, AnyStr, cast

if TYPE_CHECKING:
    from typing import NamedTuple
else:

    class _RecordType(type):
        """Makes of a class body what `typing.NamedTuple` makes of it, without compiling the text of each annotation."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            types = body.pop("__annotations__")
            defaults = [body.pop(field) for field in types if field in body]
            # pyright and mypy read the class, not this call
            record = namedtuple(name, types, defaults=defaults, module=body.pop("__module__"))  # noqa: PYI024
            record.__annotations__ = record.__new__.__annotations__ = types
            for key, value in body.items():
                setattr(record, key, value)
            return record

    class NamedTuple(metaclass=_RecordType):
        """The base of a record; its annotations stay text."""


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


class _LazyPattern:
    """A regular expression that is compiled when it is first used."""

    def __init__(self, text: Any, flags: int) -> None:
        self._source = text, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(*self._source), name)  # `re` keeps what it compiled
        setattr(self, name, value)  # from now on this is as fast as the pattern itself
        return value


def lazy_pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """`re.compile`, put off until the pattern is used; it cannot be given to a function of `re`, only be asked itself."""
    return cast("re.Pattern[AnyStr]", _LazyPattern(text, flags))


__all__ = ["NamedTuple", "lazy_pattern"]
