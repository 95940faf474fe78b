"""Prints the stack of every thread of a process, again and again: `sitecustomize` in a container whose requests never end."""

import faulthandler
import os
import sys

EVERY = 2.0  # seconds


def watch() -> None:
    """Begin, in a process of its own or on either side of a fork."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback_later(EVERY, repeat=True)


if __name__ == "sitecustomize":
    watch()
    # the thread that dumps stays behind, and a child that waits for it never goes on
    os.register_at_fork(before=faulthandler.cancel_dump_traceback_later, after_in_parent=watch, after_in_child=watch)
