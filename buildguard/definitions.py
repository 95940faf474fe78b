"""Records, closed sets and patterns that cost next to nothing to define: a commit hook defines hundreds, and uses few of them."""

from __future__ import annotations

import re
import sys
from collections import _tuplegetter, namedtuple  # type: ignore[attr-defined]
from functools import partial

TYPE_CHECKING = False  # for those who read types; `typing` itself takes longer to load than ten modules of ours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from enum import StrEnum
    from typing import Any, AnyStr, NamedTuple, NewType, Protocol, TypeVar

    T = TypeVar("T", bound=tuple[Any, ...])
else:
    _FEW = 20  # records that are made before compiling what makes them pays

    class _Record(tuple):
        """What `collections.namedtuple` writes into each class, once for all of them."""

        __slots__ = ()
        _fields = ()

        @classmethod
        def _make(cls, values: Iterable[Any]) -> Any:
            """A record of the values in the order of its fields."""
            record = tuple.__new__(cls, values)
            if len(record) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has other fields than these")
            return record

        def _replace(self, /, **changes: Any) -> Any:
            """The same record with other values in some fields."""
            record = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return record

        __replace__ = _replace

        def _asdict(self) -> dict[str, Any]:
            """Each value by its field."""
            return {field: getattr(self, field) for field in self._fields}

        def __repr__(self) -> str:
            values = ", ".join(f"{field}={getattr(self, field)!r}" for field in self._fields)
            return f"{type(self).__name__}({values})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    class _RecordType(type):
        """Makes of a class body what `typing.NamedTuple` makes of it, and compiles nothing until the first record is made."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            types = body["__annotations__"]
            fields = tuple(map(sys.intern, types))
            defaults = {field: body.pop(field) for field in fields if field in body}

            made = 0

            def first(subclass: type, /, *args: Any, **values: Any) -> Any:
                nonlocal made
                made += 1
                rest = fields[len(args) :]
                if made <= _FEW and len(args) <= len(fields) and values.keys() <= {*rest}:
                    given = {**defaults, **values}
                    if given.keys() >= {*rest}:
                        return tuple.__new__(subclass, (*args, *[given[field] for field in rest]))
                # pyright and mypy read the class, not this call
                compiled = namedtuple(name, fields, defaults=defaults.values(), module=record.__module__)  # noqa: PYI024
                record.__new__ = staticmethod(new := compiled.__new__)  # from now on this is as fast as any named tuple
                return new(subclass, *args, **values)

            record = type(
                name,
                (_Record,),
                {
                    "__slots__": (),
                    **{field: _tuplegetter(at, "") for at, field in enumerate(fields)},
                    "_fields": fields,
                    "__match_args__": fields,
                    "_field_defaults": defaults,
                    "__new__": first,
                    **body,
                },
            )
            return record

    class NamedTuple(metaclass=_RecordType):
        """The base of a record; its annotations stay text."""

    class _ClosedSet(type):
        """Makes of a class body what `enum.StrEnum` makes of it, in a fifth of the time."""

        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            values = {key: body.pop(key) for key in [*body] if key[0] != "_" and isinstance(body[key], (str, tuple))}
            create = body.pop("__new__", str.__new__)
            made = super().__new__(cls, name, bases, body)
            made.__members__ = {}
            made._by_value = {}
            for key, value in values.items():
                member = create(made, *([value] if isinstance(value, str) else value))
                text = str(member)
                member = made._by_value.setdefault(text, member)
                if "name" not in vars(member):
                    member.name, member.value = key, text
                made.__members__[key] = member
                setattr(made, key, member)
            return made

        def __call__(cls, value: object) -> Any:
            """The member with a value."""
            try:
                return cls._by_value[value]
            except (KeyError, TypeError):
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None

        def __getitem__(cls, name: str) -> Any:
            """The member with a name."""
            return cls.__members__[name]

        def __iter__(cls) -> Iterator[Any]:
            return iter(cls._by_value.values())

        def __len__(cls) -> int:
            return len(cls._by_value)

        def __contains__(cls, value: object) -> bool:
            return value in cls._by_value

    class StrEnum(str, metaclass=_ClosedSet):  # noqa: SLOT000  a member has a name and a value
        """The base of a closed set of words."""

        def __repr__(self) -> str:
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"

        def __reduce__(self) -> tuple[Any, ...]:
            return type(self), (self.value,)

        def __copy__(self) -> Any:
            return self

        def __deepcopy__(self, _known: object) -> Any:
            return self

    class Protocol:
        """The base of what others implement."""

    def NewType(_name: str, _kind: type) -> Callable[[T], T]:  # noqa: N802
        """A name for some values of a type, which are what they are."""
        return lambda value: value


def records(kind: type[T], *columns: Iterable[Any]) -> list[T]:
    """A record of each row of some columns, one column for each field; for thousands of them, which nothing checks."""
    return list(map(partial(tuple.__new__, kind), zip(*columns, strict=True)))


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
    return _LazyPattern(text, flags)  # type: ignore[return-value]


__all__ = ["TYPE_CHECKING", "NamedTuple", "NewType", "Protocol", "StrEnum", "lazy_pattern", "records", "words"]
