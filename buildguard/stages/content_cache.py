"""Contents of files that were read in this run: services that share a file read it once.

It holds bytes of this very run alone; what is on the disk later is another stage's business.
"""

from __future__ import annotations

import threading

from buildguard.diagnostic import UnreadableFile

_LARGE = 256 << 10  # bytes; such a file is read again
_MOST = 48 << 20


class ContentCache:
    """Contents by a key, up to a limit."""

    def __init__(self, most: int = _MOST) -> None:
        self._contents: dict[str | bytes, bytes] = {}
        self._left = most
        self.lock = threading.Lock()  # for whoever reads what is not kept yet, so that no other thread does

    def get(self, key: str | bytes) -> bytes | None:
        """What was read; None if it is not kept."""
        return self._contents.get(key)

    def keep(self, key: str | bytes, content: bytes | UnreadableFile) -> None:
        """Keep a content, if it is small and there is room."""
        if isinstance(content, bytes) and len(content) <= min(_LARGE, self._left) and key not in self._contents:
            self._contents[key] = content
            self._left -= len(content)
