"""The probe: compiles what comes in on standard input under the Python that runs it, and executes none of it.

It runs inside the target's interpreter, so it uses the standard library alone, every CPython from 3.6 on
can run it, and what a minimal interpreter may lack (hashlib, resource, zlib) is optional. The parent passes
its text with `-c`.

In:  `<number> <size> <CPU seconds>\\n` and that many bytes, until the end of input. With two more numbers in that
     line, `<level> <size>`, so many bytes of a `.pyc` follow: does it hold what the source compiles to? With one more,
     `-`, nothing but compiling is done: a second try after a probe that died; with `?` they are questions about the
     standard library; with `!` the program that reads imports, as this interpreter compiled it once, and with `=` its
     source: no answer comes.
Out: lists of byte strings, each list as `<count>\\n` and then `<length>:<bytes>` for each. The first list is
the greeting, every other one answers one source, in order.
"""

import os
import sys
import warnings
from time import monotonic

AST_ONLY = 0x400  # ast.PyCF_ONLY_AST, without importing ast
MANY = 1 << 20  # bytes
SHORT = 0.1  # seconds


def send(out, fields):
    """Write one list of values as byte strings."""
    parts = [b"%d\n" % len(fields)]
    for field in fields:
        if isinstance(field, bytes):
            data = field
        else:
            data = str(field).encode("utf-8", "backslashreplace")
        parts.append(b"%d:" % len(data))
        parts.append(data)
    out.write(b"".join(parts))
    out.flush()


def checksum():
    """The best checksum this interpreter has: its name, and a function from bytes to text."""
    for name in ("_sha2", "_sha256", "hashlib"):
        try:
            function = __import__(name).sha256
        except ImportError:
            continue
        return "sha256", sha256(function)
    try:
        import binascii

        return "crc32", lambda data: "%08x" % (binascii.crc32(data) & 0xFFFFFFFF)
    except ImportError:
        return "sum", lambda data: "%x" % sum((at + 1) * byte for at, byte in enumerate(data))


def sha256(function):
    """Hash with a function that is there at once, and much data with OpenSSL, which takes as long to load as to hash a megabyte."""
    hashed = [0, function]

    def digest(data):
        hashed[0] += len(data)
        if hashed[0] > MANY and hashed[1] is function:
            try:
                import hashlib

                hashed[1] = hashlib.sha256
            except ImportError:
                hashed[0] = 0
        return hashed[1](data).hexdigest()

    return digest


def limiter(memory):
    """Limit memory and core dumps; return a function that grants CPU seconds, or None without `resource`."""
    try:
        import resource
    except ImportError:
        return None

    def limit(which, wanted):
        _soft, hard = resource.getrlimit(which)
        if hard != resource.RLIM_INFINITY and (wanted > hard or wanted < 0):
            wanted = hard
        resource.setrlimit(which, (wanted, hard))

    granted = [0, 0.0]  # how many seconds last, and when

    def grant(seconds):
        now = monotonic()
        if granted[0] == seconds and now - granted[1] < SHORT:
            return  # a process has used no more time than went by, and the calls below cost a tenth of a small source
        granted[:] = seconds, now
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds + 1)

    for which, wanted in (("RLIMIT_CORE", 0), ("RLIMIT_STACK", 8 << 20), ("RLIMIT_AS", memory)):
        try:
            limit(getattr(resource, which), wanted)
        except (AttributeError, ValueError, OSError):  # macOS refuses some of them
            pass
    return grant


def peak_memory():
    """The most memory this process ever had, in bytes: address space, or what was resident; 0 if unknown."""
    try:
        with open("/proc/self/status", "rb") as status:
            for line in status:
                if line.startswith(b"VmPeak:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError, MemoryError):
        pass
    try:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    except (ImportError, MemoryError):
        return 0


def near_limit(memory):
    """Whether this process was anywhere near what it may have: 1 or 0."""
    try:
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        memory = min([memory] + [limit for limit in (soft, hard) if limit != resource.RLIM_INFINITY])
    except (ImportError, AttributeError, MemoryError):
        pass
    return int(peak_memory() > memory // 2)


def libc():
    """Which C library this process runs on: musl, or nothing worth telling."""
    try:
        with open("/proc/self/maps", "rb") as maps:
            return "musl" if b"musl" in maps.read() else ""
    except (OSError, MemoryError):
        return ""


def magic():
    """The number that bytecode of this interpreter begins with, in hexadecimal digits."""
    try:
        import _frozen_importlib_external

        return "".join("%02x" % byte for byte in _frozen_importlib_external.MAGIC_NUMBER)
    except (ImportError, AttributeError):
        return ""


def place(error):
    """Line, column, end line and end column of a SyntaxError, empty where it names none."""
    return [
        value if isinstance(value, int) and value > 0 else ""
        for value in (
            error.lineno,
            error.offset,
            getattr(error, "end_lineno", None),
            getattr(error, "end_offset", None),
        )
    ]


def phase(data):
    """Whether the parser refuses the source or a later pass does: their columns count in different units."""
    try:
        compile(data, "<source>", "exec", AST_ONLY, True)
    except BaseException:
        return "parser"
    return "compiler"


def judge(data, seen, memory, read=None):
    """Compile one source as an import would; return what happened as a list of fields, and what `read` takes from it."""
    del seen[:]
    facts = b""
    try:
        code = compile(data, "<source>", "exec", 0, True)
    except SyntaxError as error:
        warned = list(seen)  # `phase` compiles once more, and would warn once more
        verdict = [type(error).__name__, error.msg, phase(data)] + place(error) + [0]
        seen[:] = warned
    except MemoryError as error:
        verdict = [type(error).__name__, str(error), "", "", "", "", "", near_limit(memory)]
    except BaseException as error:
        verdict = [type(error).__name__, str(error), "", "", "", "", "", 0]
    else:
        verdict = ["", "", "", "", "", "", "", 0]
        if read is not None:
            warned = list(seen)  # reading parses once more
            facts = read(data, code)
            seen[:] = warned
    return verdict + [facts] + seen


def compare(data, code, level):
    """Whether a `.pyc` holds what its source compiles to; loading it runs none of it."""
    import marshal

    try:
        if code[4] & 3 == 3:  # an import compares the hash itself, and then looks no further
            import _frozen_importlib_external as external
            import _imp

            if _imp.source_hash(external._RAW_MAGIC_NUMBER, data) != code[8:16]:
                return ["stale", "its hash is not its source's", "", "", "", "", "", 0, ""]
        held = marshal.loads(code[16:])
        wanted = compile(data, held.co_filename, "exec", 0, True, level)
        same = held == wanted or marshal.dumps(held) == marshal.dumps(wanted)
    except BaseException as error:
        return ["bytecode", "%s: %s" % (type(error).__name__, error), "", "", "", "", "", 0, ""]
    return ["" if same else "bytecode", "" if same else "other code", "", "", "", "", "", 0, ""]


def main(memory, read=None, answer=None, load=None):
    """Greet, then answer until the input ends; `read` takes facts from what compiles, `answer` is asked of the library."""
    import gc

    source = os.fdopen(os.dup(0), "rb", 1 << 16)
    out = os.fdopen(os.dup(1), "wb", 1 << 16)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    seen = []

    def note(message, category, filename, lineno, file=None, line=None):
        seen.extend([category.__name__, message, lineno])

    warnings.simplefilter("always")
    warnings.showwarning = note
    grant = limiter(memory)
    kind, digest = checksum()
    gc.disable()  # compile makes no cycles, and a collection after each source costs a tenth
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info[3] != "final":
        version += "%s%d" % (sys.version_info[3], sys.version_info[4])
    abi = "%s %s %d" % (getattr(sys.implementation, "cache_tag", ""), getattr(sys, "abiflags", ""), sys.maxsize)
    who = [sys.implementation.name, version, sys.version, abi, sys.executable]
    send(out, ["buildguard-probe"] + who + [kind, libc(), sys.prefix, magic()])
    while True:
        head = source.readline()
        if not head:
            return
        number, size, seconds = head.split()[:3]
        extra = head.split()[3:]
        data = source.read(int(size))
        if len(data) != int(size):
            return
        code = source.read(int(extra[1])) if len(extra) > 1 else b""
        if grant is not None:
            grant(int(seconds))
        if extra in ([b"!"], [b"="]):
            load(data, extra == [b"="])
            continue
        if extra == [b"?"]:
            verdict = ["", "", "", "", "", "", "", 0, answer(data)]
        elif len(extra) > 1:
            verdict = compare(data, code, int(extra[0]))
        else:
            verdict = judge(data, seen, memory, None if extra else read)
        send(out, [number, len(data), digest(data)] + verdict)


if __name__ == "__main__":
    main(int(sys.argv[1]))
