"""Messages of the machine: encodings, processors, C libraries, memory, time, disk, and crashes."""

from __future__ import annotations

from buildguard.diagnose.cause import CauseId
from buildguard.diagnose.messages.message import KnownMessage

# fmt: off
MESSAGES: tuple[KnownMessage, ...] = (
    KnownMessage(
        "no-utf-8", CauseId.ENCODING, "codec can't", r"Unicode(?:De|En)codeError: '(?P<name>[\w-]+)' codec can't (?:de|en)code (?:byte|bytes|character|characters)(?: 0x| '?)?(?P<byte>[0-9a-f]{2}|[^\s']*)",
        "a text is not {name}: {byte}", "save it as UTF-8; if the locale of the image is at fault: ENV PYTHONUTF8=1",
    ),
    KnownMessage(
        "source-no-utf-8", CauseId.ENCODING, "Non-UTF-8 code", r"SyntaxError: (?:\(unicode error\) )?Non-UTF-8 code starting with '(?P<byte>[^']+)' in file (?P<name>\S+)",
        "{name} is not UTF-8", "save it as UTF-8",
    ),
    KnownMessage("no-locale", CauseId.ENCODING, "", r"SyntaxError: \(unicode error\) '(?!unicode_?escape)[\w-]+' codec can't decode|Python(?: 3)? was configured to use ASCII as encoding|Non-ASCII character '[^']+' in file (?P<name>\S+)|unknown encoding(?: for '[^']+')?: (?P<other>\S+)|cannot change locale|unsupported locale setting", "the locale or the declared encoding does not fit the text", "ENV LANG=C.UTF-8 PYTHONUTF8=1"),
    KnownMessage(
        "source-with-nul", CauseId.ENCODING, "null bytes", r"(?:SyntaxError|ValueError): source code (?:string )?cannot contain null bytes",
        "a source has NUL bytes: it is UTF-16, or damaged", "git checkout that file, or save it as UTF-8",
    ),
    KnownMessage(
        "invisible-character", CauseId.ENCODING, "", r"SyntaxError: invalid (?:non-printable character |character (?:in identifier|'[^']*' \())U?\+?(?P<name>[0-9A-F]{4})?",
        "a source has the invisible or unusual character U+{name}", "replace it; a second byte order mark comes from joining files",
    ),
    # ---- the machine
    KnownMessage(
        "image-of-another-architecture", CauseId.PLATFORM, "", r"no matching manifest for (?P<name>\S+)|image's platform \((?P<other>[^)]+)\) does not match|must support amd64/linux|ELF: wrong architecture|wrong ELF class|\.so[\d.]*: (?:file too short|invalid ELF header|undefined symbol)|incompatible architecture|not a valid Win32 application|rosetta error|qemu-\w+: Could not open|qemu: uncaught",
        "the image was built for another processor than the one that runs it", "docker build --platform linux/amd64",
    ),
    KnownMessage("no-gpu", CauseId.PLATFORM, "NVIDIA driver", r"Found no NVIDIA driver on your system", "the machine has no GPU, or no driver for one", "gcloud run services update SERVICE --gpu 1 --gpu-type nvidia-l4, or the CPU build of the package"),
    KnownMessage("musl-or-glibc", CauseId.PLATFORM, "", r"version [`']GLIBC(?:XX)?_(?P<name>[\d.]+)'? not found|Error relocating [^\n]*: (?P<other>\w+): symbol not found|symbol not found", "something in the image needs glibc {name}, and the image has an older one", "build it in the image that runs it, or take a newer base image"),
    KnownMessage(
        "no-loader", CauseId.PLATFORM, "Error loading shared library", r"Error loading shared library (?P<name>[\w.+-]+): (?:No such file|Exec format)",
        "{name} is missing: something for glibc was put into an image with musl (Alpine)", "a -slim image in place of -alpine, or packages built for musl",
    ),
    KnownMessage(
        "no-shared-library", CauseId.PLATFORM, "cannot open shared object file", r"(?<![\w.+-])(?P<name>[\w.+-]+): cannot open shared object file",
        "the image has no {name}", "install the Debian package that has {name} in the final stage",
    ),
    # ---- memory, time, disk
    KnownMessage("memory-of-cloud-run", CauseId.RESOURCES, "emory limit", r"Memory limit of (?P<name>[\d.]+ ?\w+) exceeded with (?P<used>[\d.]+ ?\w+) used", "the container had {name} of memory and used {used}", "gcloud run services update SERVICE --memory 1Gi"),
    KnownMessage("worker-killed", CauseId.RESOURCES, "SIGKILL", r"Worker \(pid:\d+\) was sent SIGKILL! Perhaps out of memory\?", "a worker was killed, most likely for want of memory", "gcloud run services update SERVICE --memory 1Gi, or fewer workers"),
    KnownMessage(
        "out-of-memory", CauseId.RESOURCES, "", r"\bOOMKilled\b|\boom-?kill(?:er)?\b|[Oo]ut of memory: Kill|Killed process \d+|using too much memory|\d Insufficient (?:memory|cpu)|[Ee]xceeded (?:hard|soft) memory limit of|terminated (?:because|since) it (?:has )?exceeded[^\n]*memory|Cannot allocate memory|[Mm]emory quota (?:vastly )?exceeded|Error R1[45]\b|exceeded (?:the|its) memory limit|signal: killed|(?:terminated|killed) by signal:? 9\b|\(9\)[^\n]*out of memory|signal 9 \(SIGKILL\)|\bENOMEM\b|OutOfMemory|std::bad_alloc|(?<!Stopping process with )SIGKILL",
        "the container was killed for want of memory", "gcloud run services update SERVICE --memory 1Gi",
    ),
    KnownMessage("killed", CauseId.RESOURCES, "", r"(?:[Ee]xit(?:ed)? ?(?:status|code|with code|with status)?|non-zero (?:status|code))[:= (]*137\b|^Killed\s*$|Uncaught signal: 9\b|terminated (?:on|due to) signal 9\b|: line \d+: +\d+ Killed\b", "something was killed (137), most likely for want of memory", "gcloud run services update SERVICE --memory 1Gi; for a build: options: {machineType: E2_HIGHCPU_8}", 1),
    KnownMessage("no-memory", CauseId.RESOURCES, "MemoryError", r"^\s*(?:\S+\.)?_?(?:Array)?MemoryError\b", "Python ran out of memory", "gcloud run services update SERVICE --memory 1Gi"),
    KnownMessage("worker-timeout", CauseId.RESOURCES, "WORKER TIMEOUT", r"\[CRITICAL\] WORKER TIMEOUT", "a worker did not answer in time", "find what blocks at start; --timeout 0 where the platform limits requests itself"),
    KnownMessage("no-instance", CauseId.RESOURCES, "no available instance", r"aborted because there was no available instance", "Cloud Run had no instance left for a request", "gcloud run services update SERVICE --max-instances 20, or fewer seconds until an instance is ready"),
    KnownMessage("no-disk", CauseId.RESOURCES, "", r"[Nn]o space left on device|[Dd]isk quota exceeded", "the disk is full", "options: {diskSizeGb: 200} in cloudbuild.yaml"),
    KnownMessage("build-timeout", CauseId.RESOURCES, "", r"^\s*(?:ERROR: )?(?:build )?TIMEOUT(?:: |$)|completed with status \"TIMEOUT\"|^ERROR: build step \d+ [^\n]*failed: context deadline exceeded", "the build took longer than it may", "timeout: 3600s in cloudbuild.yaml"),
    KnownMessage("task-timeout", CauseId.RESOURCES, "maximum timeout", r"Terminating task because it has reached the maximum timeout of (?P<name>[\d.]+ \w+)", "the task of the job took longer than {name}", "gcloud run jobs update JOB --task-timeout 3600"),
    KnownMessage("function-timeout", CauseId.RESOURCES, "unction execution took", r"Function execution took (?P<name>\d+ ms)[.,] [Ff]inished with status: '?timeout", "the function took longer than it may: {name}", "gcloud functions deploy NAME --timeout 540"),
    KnownMessage("request-timeout", CauseId.RESOURCES, "maximum request timeout", r"has reached the maximum request timeout", "a request took longer than the service allows", "gcloud run services update SERVICE --timeout 900"),
    KnownMessage("deadline", CauseId.RESOURCES, "", r"context deadline exceeded|Too many open files", "something took longer, or more, than it may", "timeout: 3600s in cloudbuild.yaml, for a build", 1),
    # ---- crashes
    KnownMessage("crashed", CauseId.CRASH, "", r"[Ss]egmentation fault|\bSIGSEGV\b|[Cc]ore dumped|Fatal Python error: (?P<name>[^\n]{1,80})|[Ii]llegal instruction|: line \d+: +\d+ Aborted\b|^\s*Aborted\s*$|Trace/breakpoint trap|Floating point exception|\bSIGILL\b|\bSIGABRT\b|\bSIGBUS\b|[Bb]us error|[Uu]ncaught signal: (?:4|6|7|8|11)\b|(?:terminated on|terminated due to|(?:terminated|killed) by) signal:? (?:4|6|7|8|11)\b|double free or corruption|stack smashing detected|free\(\): invalid|malloc\(\): ", "the process crashed in native code", "find the native package that was changed last; PYTHONFAULTHANDLER=1 prints where"),
    KnownMessage("crashed-by-exit", CauseId.CRASH, "", r"(?:[Ee]xit(?:ed)? ?(?:status|code|with code|with status)?)[:= (]*(?P<name>139|134|132|135|136)\b", "the process crashed in native code (exit {name})", "find the native package that was changed last; PYTHONFAULTHANDLER=1 prints where", 1),
)
