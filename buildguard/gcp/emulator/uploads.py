"""Objects of the storage emulator while they are uploaded in parts, and once they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from buildguard.definitions import NamedTuple, lazy_pattern

_RANGE = lazy_pattern(r"bytes (?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)")


class ObjectGeneration(NamedTuple):
    """One generation of an object: its number, its bytes, its type, and when it was written."""

    number: int
    data: bytes
    content_type: str
    written: str = ""


class UploadSession:
    """A resumable upload: what it is for, and what came of it so far; `stored` is what it became."""

    def __init__(self, bucket: str, name: str, metadata: Mapping[str, Any], match: int | None) -> None:
        self.bucket, self.name, self.metadata, self.match = bucket, name, metadata, match
        self.data = bytearray()
        self.stored: ObjectGeneration | None = None

    def take(self, content_range: str, body: bytes) -> bool:
        """Take a part, all of it without a range; whether the object is complete. Raises ValueError for what makes no sense.

        A part that would leave a gap is not taken: the client asks how much is here, and sends the rest.
        """
        if not content_range:
            self.data[:] = body
            return True
        match = _RANGE.fullmatch(content_range)
        if match is None:
            raise ValueError("Failed to parse Content-Range header.")
        if match[1] is not None:
            first, last = int(match[1]), int(match[2])
            if last - first + 1 != len(body) or (match[3] != "*" and last >= int(match[3])):
                raise ValueError("Content-Range and the body contradict each other.")
            if first <= len(self.data) and self.stored is None:
                self.data[first:] = body
        return match[3] != "*" and len(self.data) == int(match[3])
