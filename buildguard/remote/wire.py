"""What a probe writes, read back: lists of byte strings. Also a part of the driver that runs in Cloud Build."""

from __future__ import annotations


def read_list(buffer: bytes | bytearray, start: int) -> tuple[list[bytes], int] | None:
    """The list that begins at `start`, and where it ends; None where it is not whole. Raises ValueError for what is none."""
    end = buffer.find(b"\n", start)
    if end < 0:
        return None
    fields, at = [], end + 1
    for _ in range(int(buffer[start:end])):
        colon = buffer.find(b":", at, at + 20)
        if colon < 0:
            return None
        size = int(buffer[at:colon])
        at = colon + 1 + size
        if at > len(buffer):
            return None
        fields.append(bytes(buffer[colon + 1 : at]))
    return fields, at
