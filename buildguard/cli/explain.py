"""`buildguard explain`: the page of a code, found by its number, its beginning or a word."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable

from buildguard.codes import CODES, page
from buildguard.errors import UsageError


def explain(word: str) -> str:
    """The page of a code, or a list if the word fits several codes; raises UsageError with suggestions if none."""
    codes = _matching(word.strip())
    if not codes:
        raise UsageError(f"unknown code '{word}'", hint=_suggestion(word))
    return page(codes[0]) if len(codes) == 1 else list_codes(codes)


def explain_all() -> str:
    """Every page."""
    return "\n".join(page(code) for code in CODES)


def list_codes(codes: Iterable[str] = CODES) -> str:
    """A line for each code: its title."""
    return "".join(f"{code}  {CODES[code]}\n" for code in codes)


def _matching(word: str) -> list[str]:
    """The codes that a word means: by code or beginning of codes, else by title, else by page."""
    wanted = _normalized(word)
    if not wanted:
        return []
    number = re.fullmatch(r"(?:BG)?(\d{1,3})(?:xx?)?", word, re.IGNORECASE)
    if number is not None:
        return [code for code in CODES if code.startswith(f"BG{number[1]}")]
    searches: tuple[Callable[[str], str], ...] = (CODES.__getitem__, page)
    for text_of in searches:
        codes = [code for code in CODES if wanted in _normalized(text_of(code))]
        if codes:
            return codes
    return []


def _normalized(text: str) -> str:
    """Letters and digits alone: `fstring`, `f-string` and `F-String` are one word."""
    return "".join(char for char in text.casefold() if char.isalnum())


def _suggestion(word: str) -> str:
    words = {part for title in CODES.values() for part in re.findall(r"[\w-]{4,}", title)}
    close = [
        *difflib.get_close_matches(word.upper(), CODES, n=2, cutoff=0.6),
        *difflib.get_close_matches(word.casefold(), sorted(words), n=2, cutoff=0.6),
    ]
    first, last = next(iter(CODES)), list(CODES)[-1]
    known = f"codes are {first} to {last}: `buildguard explain` lists them"
    return f"did you mean {' or '.join(close)}? {known}" if close else known
