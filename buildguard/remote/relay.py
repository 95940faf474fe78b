r"""The relay: starts probes in the container that it is the first process of, and passes on what they read and write.

One stream reaches into a container, and several probes work there; each may die without the others. Like the
probe it needs nothing but the standard library of any CPython from 3.6 on, and reads and writes no file. The
parent passes its text with `-c`, then the probe's text and the seconds after which silence means that the parent is gone
listens any more.

Frames, both ways: `<kind> <probe> <size>\n` and that many bytes. In: S starts a probe (content: its limit of
memory), D is for its standard input, K kills it. Out: O and E are its standard output and error, X its end
(content: status, most memory in bytes). The relay itself ends with its standard input.
"""

import errno
import os
import select
import signal
import sys
import time

CHUNK = 1 << 16
PAUSE = 0.01  # seconds in which verdicts gather: each frame wakes up three processes on its way


def write_all(data):
    """Write to the parent; waiting is fine, as it always reads."""
    while data:
        data = data[os.write(1, data) :]


def widen(pipe):
    """Make room for all that a probe is sent at once, where the system lets us: fewer writes, fewer wake-ups."""
    try:
        import fcntl

        fcntl.fcntl(pipe, 1031, 1 << 20)  # F_SETPIPE_SZ
    except (ImportError, OSError):
        pass


def frame(kind, number, data):
    """Send one frame."""
    write_all(b"%s %d %d\n" % (kind, number, len(data)) + data)


class ProbeProcess:
    """A probe's process, our ends of its pipes, and what it has not taken yet."""

    def __init__(self, number, text, memory, inherited):
        self.number = number
        self.pending = bytearray()
        self.open = 2
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        self.stderr, stderr = os.pipe()
        os.set_blocking(self.stdin, False)
        widen(self.stdin)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                for end, at in ((stdin, 0), (stdout, 1), (stderr, 2)):
                    os.dup2(end, at)
                for end in [stdin, stdout, stderr, self.stdin, self.stdout, self.stderr] + inherited:
                    os.close(end)
                sys.argv = ["-c", memory]
                exec(compile(text, "<probe>", "exec"), {"__name__": "__main__"})
                os._exit(0)
            except BaseException as error:
                os.write(2, ("%s: %s" % (type(error).__name__, error)).encode("utf-8", "backslashreplace"))
            finally:
                os._exit(1)
        for end in (stdin, stdout, stderr):
            os.close(end)

    def ends(self):
        """Our ends that are open."""
        return [end for end in (self.stdin, self.stdout, self.stderr) if end is not None]

    def feed(self):
        """Write what the pipe takes; whether anything is left."""
        try:
            while self.pending and self.stdin is not None:
                del self.pending[: os.write(self.stdin, self.pending)]
        except BlockingIOError:
            pass
        except BrokenPipeError:
            self.pending = bytearray()  # it died: its stdout tells
        return bool(self.pending)


class Relay:
    """The probes, and the loop between them and the parent."""

    def __init__(self, text, silence):
        self.text = text
        self.silence = silence
        self.probes = {}
        self.by_end = {}
        self.poll = select.poll()
        self.incoming = bytearray()

    def run(self):
        """Pass on until the parent is gone or silent."""
        self.poll.register(0, select.POLLIN)
        widen(0)
        while True:
            if not self.poll.poll(self.silence * 1000):
                return
            time.sleep(PAUSE)
            for end, _event in self.poll.poll(0):
                if end == 0:
                    data = os.read(0, 1 << 20)
                    if not data:
                        return
                    self.incoming += data
                    self.take()
                elif end in self.by_end:
                    self.serve(self.by_end[end], end)

    def take(self):
        """Deal with the whole frames among what came in."""
        at = 0
        while True:
            line = self.incoming.find(b"\n", at)
            if line < 0:
                break
            kind, number, size = bytes(self.incoming[at:line]).split()
            after = line + 1 + int(size)
            if after > len(self.incoming):
                break
            self.obey(kind, int(number), bytes(self.incoming[line + 1 : after]))
            at = after
        del self.incoming[:at]

    def obey(self, kind, number, data):
        """One frame of the parent's."""
        if kind == b"S":
            inherited = [end for probe in self.probes.values() for end in probe.ends()]
            probe = self.probes[number] = ProbeProcess(number, self.text, data.decode("ascii"), inherited)
            for end in (probe.stdout, probe.stderr):
                self.by_end[end] = probe
                self.poll.register(end, select.POLLIN)
        elif number in self.probes:
            probe = self.probes[number]
            if kind == b"K":
                os.kill(probe.pid, signal.SIGKILL)
            else:
                probe.pending += data
                self.feed(probe)

    def feed(self, probe):
        """Write to a probe now, and wait for room where it takes no more."""
        if probe.feed():
            if probe.stdin not in self.by_end:
                self.by_end[probe.stdin] = probe
                self.poll.register(probe.stdin, select.POLLOUT)
        elif probe.stdin in self.by_end:
            del self.by_end[probe.stdin]
            self.poll.unregister(probe.stdin)

    def serve(self, probe, end):
        """Something happened at one of our ends."""
        if end == probe.stdin:
            self.feed(probe)
            return
        try:
            data = os.read(end, CHUNK)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if data:
            frame(b"O" if end == probe.stdout else b"E", probe.number, data)
            return
        self.poll.unregister(end)
        del self.by_end[end]
        probe.open -= 1
        if probe.open == 0:
            self.bury(probe)

    def bury(self, probe):
        """A probe has closed its output: tell how it ended."""
        _pid, status, usage = os.wait4(probe.pid, 0)
        if probe.stdin in self.by_end:
            del self.by_end[probe.stdin]
            self.poll.unregister(probe.stdin)
        for end in probe.ends():
            os.close(end)
        del self.probes[probe.number]
        code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        frame(b"X", probe.number, b"%d %d" % (code, usage.ru_maxrss * 1024))


if __name__ == "__main__":
    Relay(sys.argv[1], int(sys.argv[2])).run()
