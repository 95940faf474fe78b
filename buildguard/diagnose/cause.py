"""The causes that a diagnosis can name, and the two answers beside them."""

from __future__ import annotations

from buildguard.definitions import StrEnum


class CauseId(StrEnum):
    """Each cause by its id in the JSON; the order is that of the hypotheses."""

    TARGET_OLDER = "target-older-than-code"
    CODE_OLDER = "code-older-than-target"
    BYTES_CHANGED = "bytes-changed"
    STALE_IMAGE = "stale-image"
    WRONG_FILES_SENT = "wrong-files-sent"
    ENCODING = "encoding"
    PLATFORM = "platform"
    OTHER_INTERPRETER = "other-interpreter"
    STRAY_BYTECODE = "stray-bytecode"
    MISSING_VARIABLE = "missing-variable"
    NOT_IMPORTABLE = "not-importable"
    RESOURCES = "resources"
    SERVICE_TROUBLE = "service-trouble"
    START_COMMAND = "start-command"
    PORT = "port"
    DEPENDENCY_INSTALL = "dependency-install"
    PERMISSION = "permission"
    CONFIGURATION = "configuration"
    DEPENDENCY_SERVICE = "dependency-service"
    CRASH = "crash"
    TOOL_FAILURE = "tool-failure"
    APPLICATION_ERROR = "application-error"
    MERGE_CONFLICT = "merge-conflict"


UNKNOWN, HEALTHY = "unknown", "healthy"
