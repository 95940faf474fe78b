"""The system refuses or ends a run in the middle, at a seeded moment: what comes out is never a pass that was not proven.

`strace` injects the errors and signals, into every process of a run: an error of the N-th call of its kind. What is held
against each run: nothing is called clean that is not, nothing is accused that is clean, no file is lost or half written,
nothing stays behind, and the next run tells the truth.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.trust import killed
from tests.trust.killed import BAD, BUILDGUARD, COMMANDS, Place

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 300
_RUNS = ("check", "manifest", "diff", "fix", "check to a file")


class Ended(NamedTuple):
    """How a run under a fault ended: status, what it wrote, and whether the fault happened at all."""

    command: str
    status: int
    out: bytes
    err: bytes
    injected: bool = True
    kept: bool = True  # of its standard output, which some faults take


def _calls(names: str, error: str) -> Callable[[Place, str, random.Random], Ended]:
    """A fault: one call of these fails."""
    return lambda place, command, rng: _traced(place, command, rng, names, f"error={error}")


def _signalled(names: str, which: str) -> Callable[[Place, str, random.Random], Ended]:
    """A fault: a signal comes at one call of these."""
    return lambda place, command, rng: _traced(place, command, rng, names, f"signal={which}")


def _traced(place: Place, command: str, rng: random.Random, names: str, what: str) -> Ended:
    log = place.temporary.parent / "strace.log"
    strace = [shutil.which("strace") or "strace", "-f", "-qq", "-o", str(log)]
    most = max(_calls_of(place, command, strace, log)[name] for name in names.split(","))
    for _ in range(4 if most else 0):
        at = rng.randint(1, most)
        inject = ["-e", f"trace={names}", "-e", f"inject={names}:{what}:when={at}"]
        ended = _ended(place, command, [*strace, *inject, str(BUILDGUARD)])
        said = log.read_text("utf-8", "replace")
        if "INJECTED" in said or (what.startswith("signal") and what.partition("=")[2] in said):
            return ended
        place.restore()
    return Ended(command, 0, b"", b"", injected=False)


def _calls_of(place: Place, command: str, strace: list[str], log: Path) -> Counter[str]:
    """How often one process of such a run makes each call, at most."""
    key = (str(place.path), command)
    if key not in _CALLS:
        _ended(place, command, [*strace, str(BUILDGUARD)])
        made = Counter(re.findall(r"^(\d+) +(\w+)\(", log.read_text("utf-8", "replace"), re.MULTILINE))
        _CALLS[key] = Counter()
        for (_process, name), times in made.items():
            _CALLS[key][name] = max(_CALLS[key][name], times)
        place.restore()
    return _CALLS[key]


_CALLS: dict[tuple[str, str], Counter[str]] = {}


def _ended(
    place: Place,
    command: str,
    program: list[str],
    *,
    before: Callable[[], object] | None = None,
    out: int | None = None,
    err: int | None = None,
    meanwhile: Callable[[subprocess.Popen[bytes]], object] = lambda _child: None,
) -> Ended:
    child = subprocess.Popen(
        [*program, *COMMANDS[command]],
        cwd=place.path,
        env=place.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if out is None else out,
        stderr=subprocess.PIPE if err is None else err,
        preexec_fn=before,  # noqa: PLW1509  no threads here
    )
    meanwhile(child)
    said, complained = child.communicate(timeout=_PATIENCE)
    return Ended(command, child.returncode, said or b"", complained or b"", kept=out is None)


def _limited(kind: int, low: int, high: int) -> Callable[[Place, str, random.Random], Ended]:
    """A fault: this much of something is all there is."""

    def run(place: Place, command: str, rng: random.Random) -> Ended:
        much = rng.randint(low, high)

        def limit() -> None:
            resource.setrlimit(kind, (much, much))

        return _ended(place, command, [str(BUILDGUARD)], before=limit)

    return run


def _interrupted(which: signal.Signals) -> Callable[[Place, str, random.Random], Ended]:
    """A fault: a signal at any moment, as a person at the keyboard or a system that goes down sends it."""

    def run(place: Place, command: str, rng: random.Random) -> Ended:
        def send(child: subprocess.Popen[bytes]) -> None:
            time.sleep(rng.uniform(0.02, 0.9))
            child.send_signal(which)

        return _ended(place, command, [str(BUILDGUARD)], meanwhile=send)

    return run


def _no_output(place: Place, command: str, _rng: random.Random) -> Ended:
    return _ended(place, command, [str(BUILDGUARD)], before=lambda: os.close(1))


def _no_errors(place: Place, command: str, _rng: random.Random) -> Ended:
    return _ended(place, command, [str(BUILDGUARD)], before=lambda: os.close(2))


def _full_output(place: Place, command: str, _rng: random.Random) -> Ended:
    with open("/dev/full", "wb") as full:
        return _ended(place, command, [str(BUILDGUARD)], out=full.fileno())


def _reader_gone(place: Place, command: str, rng: random.Random) -> Ended:
    reader, writer = os.pipe()

    def leave(_child: subprocess.Popen[bytes]) -> None:
        os.close(writer)
        os.read(reader, rng.choice([0, 1, 100]))
        os.close(reader)

    return _ended(place, command, [str(BUILDGUARD)], out=writer, meanwhile=leave)


def _changing(place: Place, command: str, rng: random.Random) -> Ended:
    """Files that are innocent whenever one looks change while they are read; what they hold stays innocent."""
    names = [name for name in place.files if name not in BAD and name.endswith(".py")]

    def change(child: subprocess.Popen[bytes]) -> None:
        while child.poll() is None and time.monotonic() < until:
            file = place.path / rng.choice(names)
            with file.open("r+b", buffering=0) as opened:
                opened.write(rng.choice(b"xyz").to_bytes(1, "big"))
            time.sleep(0.001)

    until = time.monotonic() + 5
    return _ended(place, command, [str(BUILDGUARD)], meanwhile=change)


def _coming_and_going(place: Place, command: str, rng: random.Random) -> Ended:
    """A folder of innocent files is moved away and back while it is read."""
    extra, away = place.path / "app/extra", place.path / "app/.away"
    extra.mkdir()
    for number in range(40):
        (extra / f"e{number}.py").write_text(f"z = {number}\n")

    def move(child: subprocess.Popen[bytes]) -> None:
        while child.poll() is None and time.monotonic() < until:
            extra.rename(away)
            time.sleep(rng.uniform(0, 0.005))
            away.rename(extra)
            time.sleep(rng.uniform(0, 0.005))

    until = time.monotonic() + 5
    try:
        return _ended(place, command, [str(BUILDGUARD)], meanwhile=move)
    finally:
        shutil.rmtree(extra, ignore_errors=True)
        shutil.rmtree(away, ignore_errors=True)


def _index_locked(place: Place, command: str, _rng: random.Random) -> Ended:
    lock = place.path / ".git/index.lock"
    lock.write_text("")
    try:
        return _ended(place, command, [str(BUILDGUARD)])
    finally:
        lock.unlink()


def _git_broken(place: Place, command: str, rng: random.Random) -> Ended:
    """One of git's objects is gone: what it held is unproven, and no one guesses."""
    objects = sorted((place.path / ".git/objects").glob("[0-9a-f][0-9a-f]/*"))
    lost = rng.choice(objects)
    aside = place.temporary.parent / "lost-object"
    lost.rename(aside)
    try:
        return _ended(place, command, [str(BUILDGUARD)])
    finally:
        aside.rename(lost)


# What happens when it is asked for what every program asks, in the order of a run.
KINDS: dict[str, Callable[[Place, str, random.Random], Ended]] = {
    "no program can be started": _calls("execve", "ENOMEM"),
    "no process can be made": _calls("fork,vfork,clone,clone3", "EAGAIN"),
    "a file may not be opened": _calls("openat", "EACCES"),
    "a file cannot be opened: disk": _calls("openat", "EIO"),
    "no more files can be open": _calls("openat", "EMFILE"),
    "a read fails": _calls("read,pread64", "EIO"),
    "a read is interrupted": _calls("read", "EINTR"),
    "no room to write": _calls("write,pwrite64", "ENOSPC"),
    "a write fails": _calls("write,pwrite64", "EIO"),
    "a write may not be": _calls("write,pwrite64", "EPERM"),
    "a file cannot be asked for": _calls("newfstatat,fstat,lstat,stat", "EIO"),
    "a folder cannot be listed": _calls("getdents64", "EIO"),
    "a close fails": _calls("close", "EIO"),
    "a sync fails": _calls("fsync,fdatasync", "EIO"),
    "a rename finds no room": _calls("rename,renameat,renameat2", "ENOSPC"),
    "a rename may not be": _calls("rename,renameat,renameat2", "EACCES"),
    "a folder cannot be made": _calls("mkdir,mkdirat", "ENOSPC"),
    "a file cannot be removed": _calls("unlink,unlinkat", "EPERM"),
    "a lock cannot be had": _calls("fcntl,flock", "ENOLCK"),
    "a mode cannot be set": _calls("fchmod,chmod,fchmodat", "EPERM"),
    "no pipe can be made": _calls("pipe2,pipe", "EMFILE"),
    "memory cannot be mapped": _calls("mmap", "ENOMEM"),
    "a link cannot be read": _calls("readlink,readlinkat", "EIO"),
    "limits cannot be set": _calls("prlimit64,setrlimit", "EPERM"),
    "no waiting on many": _calls("epoll_create1,epoll_ctl,poll,select,pselect6,ppoll", "ENOMEM"),
    "a seek fails": _calls("lseek", "EIO"),
    "SIGTERM at a write": _signalled("write", "SIGTERM"),
    "SIGKILL at an open": _signalled("openat", "SIGKILL"),
    "SIGINT at a read": _signalled("read", "SIGINT"),
    "SIGSEGV at a mapping": _signalled("mmap", "SIGSEGV"),
    "SIGHUP at any moment": _interrupted(signal.SIGHUP),
    "SIGTERM at any moment": _interrupted(signal.SIGTERM),
    "SIGINT at any moment": _interrupted(signal.SIGINT),
    "standard output is closed": _no_output,
    "standard error is closed": _no_errors,
    "standard output is full": _full_output,
    "whoever reads is gone": _reader_gone,
    "little room for files": _limited(resource.RLIMIT_FSIZE, 0, 40_000),
    "few files may be open": _limited(resource.RLIMIT_NOFILE, 3, 24),
    "little memory": _limited(resource.RLIMIT_AS, 20 << 20, 400 << 20),
    "little time": _limited(resource.RLIMIT_CPU, 1, 1),
    "files change while they are read": _changing,
    "folders come and go": _coming_and_going,
    "git's index is locked": _index_locked,
    "an object of git's is gone": _git_broken,
}


def trial(place: Place, kind: str, seed: int) -> str | None:
    """One fault in one run: the first thing that is wrong, empty where nothing is, None where the run never came to it."""
    rng = random.Random(f"{kind} {seed}")
    command = _RUNS[seed % len(_RUNS)]
    place.restore()
    if rng.random() < 0.5:
        shutil.rmtree(place.cache, ignore_errors=True)
    ended = KINDS[kind](place, command, rng)
    if not ended.injected:
        return None
    quiet = kind in {"files change while they are read", "folders come and go"}
    words = killed.still_running(place) or _judged(place, ended, quiet=quiet)
    if not words and not quiet:
        words = killed._half_written(place, command)
    place.restore()
    for log in place.temporary.glob("buildguard-*.log"):
        log.unlink()  # what is to be reported; that there was such a thing is wrong enough
    return words or killed._next(place, command)


def _judged(place: Place, ended: Ended, *, quiet: bool) -> str:
    """What is wrong with what it said."""
    if b"a bug in buildguard" in ended.err and b"MemoryError" not in ended.err:
        return f"{ended.command}: {ended.err.decode('utf-8', 'replace')[-300:]}"
    if ended.command in {"check", "check to a file"}:
        return _judged_check(place, ended)
    if ended.command == "diff":
        return _judged_diff(ended, quiet=quiet)
    if ended.command == "manifest" and ended.status == 0:
        whole = place.run_after(("manifest", "commit:HEAD", "--format", "json"))[1]
        made = json.loads((place.path / "made.json").read_text())
        if made["digest"] != json.loads(whole)["digest"]:
            return "manifest: another digest than the commit's"
    return ""


def _judged_check(place: Place, ended: Ended) -> str:
    if ended.status == 0:
        return "check: passed"
    text = ended.out
    if ended.command == "check to a file":
        with suppress(OSError):
            text = (place.path / "report.json").read_bytes()
    report = _report(text)
    if report is None:
        return "check: status 1 without a report" if ended.status == 1 and text.startswith(b"{") else ""
    refused = {one["path"] for one in report["diagnostics"] if one["severity"] == "error"}
    if refused - BAD:
        return f"check: accuses {sorted(refused - BAD)}"
    if refused != BAD and not report["unproven"]:
        return f"check: {sorted(BAD - refused)} not told of, and nothing is unproven"
    return ""


def _judged_diff(ended: Ended, *, quiet: bool) -> str:
    report = _report(ended.out)
    if report is None:
        return "diff: passed without an answer" if ended.status == 0 and ended.kept else ""
    if quiet:
        return ""
    if report["first_changed_hop"] is not None or any(hop["differences"] for hop in report["hops"]):
        return f"diff: tells of changes: {json.dumps(report['hops'])[:300]}"
    if ended.status == 0 and not all(hop["identical"] for hop in report["hops"]):
        return "diff: passed what it did not see"
    return ""


def _report(text: bytes) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return found


def main(times: int) -> int:
    """Each kind that often; 1 where anything was wrong."""
    import tempfile

    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for kind in KINDS:
            started = time.monotonic()
            tried = [trial(place, kind, seed) for seed in range(times)]
            found = [f"  {seed}: {words}" for seed, words in enumerate(tried) if words]
            wrong += len(found)
            happened = sum(words is not None for words in tried)
            print(
                f"{kind:34} {happened} of {times}, {len(found)} wrong, {time.monotonic() - started:.0f} s", flush=True
            )
            print("".join(f"{one}\n" for one in found[:3]), end="", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
