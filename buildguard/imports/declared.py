"""Modules that the standard library lacks and something else brings: a declared distribution, or the project itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property

from buildguard.definitions import lazy_pattern, words
from buildguard.imports import standard_names

# Files in which a project declares what is installed.
DECLARES = lazy_pattern(
    r"(^|/)([^/]*requirements[^/]*\.(txt|in)|constraints[^/]*\.txt|pyproject\.toml|setup\.(py|cfg)|Pipfile(\.lock)?"
    r"|(poetry|uv|pdm)\.lock|pylock[^/]*\.toml|environment[^/]*\.ya?ml|[^/]*(Docker|Container)file[^/]*|cloudbuild[^/]*\.ya?ml)$"
)
_BUILD_SYSTEM = lazy_pattern(r"^\[build-system\].*?(?=^\[|\Z)", re.MULTILINE | re.DOTALL)
_SETUP_IMPORTS = lazy_pattern(r"^\s*(from|import) .*$", re.MULTILINE)
# What depends on them, where no lock file shows the whole closure.
_DEPENDENTS = {
    "setuptools": words("""
        apache-beam astroid gevent google-cloud-bigtable grpcio-tools gunicorn horovod kubernetes lightning nodeenv numba
        opentelemetry-instrumentation pip-tools pkgutil-resolve-name pyramid pytorch-lightning setuptools-scm spacy sphinx
        supervisor tensorboard tensorflow thinc torch triton zope.interface
    """),
    "legacy-cgi": ["pyramid", "web.py", "webob"],
    "pyasyncore": ["pyftpdlib", "pysnmp", "pysnmplib"],
    "pyasynchat": ["pyftpdlib"],
    "audioop-lts": ["discord.py", "gradio", "pydub", "speechrecognition", "livekit-agents"],
    "standard-aifc": ["librosa", "audioread", "speechrecognition"],
    "standard-sunau": ["librosa", "audioread"],
}
_ONLY_OLD = {"gunicorn": lazy_pattern(r"gunicorn\s*(==|~=|<=?)\s*(1?\d|20)\b")}
_COMMANDS = lazy_pattern(r"(^|/)([^/]*(Docker|Container)file[^/]*|cloudbuild[^/]*\.ya?ml)$")
_INSTALLS = lazy_pattern(r"\b(install|add|sync)\b")


def may_declare(path: str) -> bool:
    """Whether a path may be that of such a file: most of a project are sources, for which a pattern takes longer."""
    return not path.endswith(".py") or path.endswith("setup.py") or "file" in path  # of Docker


class ProvidedModules:
    """What may bring a module that the standard library lacks.

    `texts` reads the files that declare dependencies; `modules` are the paths of the project's own.
    """

    def __init__(self, texts: Callable[[], Iterable[tuple[str, str]]], modules: Iterable[str]) -> None:
        self._read = texts
        self._modules = modules
        self._reasons: dict[str, str] = {}

    def brings(self, module: str) -> str:
        """Why a module may come from elsewhere; empty where nothing brings it."""
        top = module.partition(".")[0]
        if top not in self._reasons:
            self._reasons[top] = self._reason(top)
        return self._reasons[top]

    def _reason(self, top: str) -> str:
        if top in self._own:
            return f"the project has a module {top} of its own"
        if top == "distutils" and "setuptools" in self._own:
            return "the project holds setuptools, which brings distutils"
        for distribution in standard_names.providers_of(top):
            for path, text in self._texts:
                if _names(text, distribution):
                    return f"{path} names {distribution}, which brings {top}"
                dependent = next((name for name in _DEPENDENTS.get(distribution, ()) if _depends(text, name)), "")
                if dependent:
                    return f"{path} names {dependent}, which may bring {top}"
        return ""

    def declares(self, distribution: str) -> bool:
        """Whether a distribution is named among what is installed."""
        return any(_names(text, distribution) for _path, text in self._texts)

    @cached_property
    def _texts(self) -> list[tuple[str, str]]:
        return [(path, _without_build_tools(path, text)) for path, text in self._read()]

    @cached_property
    def _own(self) -> set[str]:
        parts = (path.removesuffix(".py").split("/") for path in self._modules)
        return {name for path in parts for name in path}


def _without_build_tools(path: str, text: str) -> str:
    """A declaration without what only builds the project: no build tool is left in the image."""
    if path.endswith("pyproject.toml"):
        return _BUILD_SYSTEM.sub("", text)
    if _COMMANDS.search(path):
        return "\n".join(filter(_INSTALLS.search, re.sub(r"\\\r?\n", " ", text).splitlines()))
    return _SETUP_IMPORTS.sub("", text) if path.endswith("setup.py") else text


def _names(text: str, distribution: str) -> bool:
    pattern = re.sub(r"[-_.]+", "[-_.]+", re.escape(distribution).replace("\\", ""))
    return re.search(rf"(?i)(?<![\w.-]){pattern}(?![\w-])", text) is not None


def _depends(text: str, name: str) -> bool:
    old = _ONLY_OLD.get(name)
    return _names(text, name) if old is None else old.search(text) is not None
