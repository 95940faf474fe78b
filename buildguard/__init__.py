"""Whether the committed source is what will run, and whether the Python that runs it accepts it.

`import buildguard` offers the functions of `buildguard.api` and their records, and loads them when they are used.
"""

import sys
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"
_HOMES = {
    "check": "api",
    "fix": "api",
    "diff": "api",
    "manifest": "api",
    "diagnose": "api",
    "deploy": "api",
    "Report": "check.result",
    "FixReport": "check.fix",
    "Chain": "compare.chain",
    "Manifest": "stages.manifest",
    "Diagnosis": "diagnose.hypotheses",
    "DeployReport": "deploy.run",
    "Diagnostic": "diagnostic",
    "Severity": "diagnostic",
    "Unproven": "diagnostic",
    "GuardError": "errors",
    "Reason": "errors",
    "UsageError": "errors",
    "UnprovenError": "errors",
}
__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  strings, all of them


class CommandPackage(ModuleType):
    """A package that is called as the function of the same name: `buildguard.check(…)` beside `buildguard.check.run`."""

    def __call__(self, *args: object, **options: object) -> object:
        """Call the function of `buildguard.api`."""
        return getattr(import_module("buildguard.api"), self.__name__.rpartition(".")[2])(*args, **options)


def make_callable(package: str) -> None:
    """Let a package be called; it calls this itself."""
    sys.modules[package].__class__ = CommandPackage


def __getattr__(name: str) -> object:
    """Load what is asked for: `import buildguard` alone loads nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'buildguard' has no attribute '{name}'")
    return getattr(import_module(f"buildguard.{_HOMES[name]}"), "CheckReport" if name == "Report" else name)
