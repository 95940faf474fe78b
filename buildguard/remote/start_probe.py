"""What listens in a container, and how its port responds: run by the image's own Python, beside the program.

Called with a port and a path; prints one line of JSON. `status` is the HTTP status (null without one), `responded` whether
anything came back, `listeners` are addresses and ports, `ticks` the CPU time of all other processes.
"""

from __future__ import annotations

import http.client
import json
import os
import sys

_LISTENING = "0A"  # the state in /proc/net/tcp
_WAIT = 2.0  # seconds for a response
_TIMES = slice(11, 13)  # utime and stime, behind the program's name


def _address(text: str) -> str:
    """An IP address as /proc/net/tcp has it: words of four bytes in the machine's order, in hexadecimal digits."""
    import socket

    words = [bytes.fromhex(text[start : start + 8]) for start in range(0, len(text), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)


def listeners() -> list[tuple[str, int]]:
    """The addresses and ports on which anything in this network namespace listens."""
    places = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table, encoding="ascii") as lines:
                rows = [line.split() for line in lines][1:]
        except OSError:
            continue
        for row in rows:
            if row[3] == _LISTENING:
                address, _, port = row[1].partition(":")
                places.append((_address(address), int(port, 16)))
    return places


def ask(port: int, path: str) -> tuple[int | None, bool]:
    """The HTTP status of this machine's port, and whether anything came back at all."""
    for host in ("127.0.0.1", "::1"):
        connection = http.client.HTTPConnection(host, port, timeout=_WAIT)
        try:
            connection.request("GET", path)
            return connection.getresponse().status, True
        except http.client.RemoteDisconnected:
            return None, False
        except http.client.HTTPException:
            return None, True  # another protocol than HTTP
        except ConnectionRefusedError:
            continue
        except OSError:
            return None, False
        finally:
            connection.close()
    return None, False


def ticks() -> int:
    """The CPU time that all processes but this one took so far, in clock ticks."""
    total = 0
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[_TIMES])
    return total


if __name__ == "__main__":
    status, responded = ask(int(sys.argv[1]), sys.argv[2])
    print(json.dumps({"status": status, "responded": responded, "listeners": listeners(), "ticks": ticks()}))
