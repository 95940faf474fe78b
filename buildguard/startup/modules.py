"""Where a module of the image comes from: looked up on the search path as Python does, without importing anything."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

from buildguard.definitions import NamedTuple
from buildguard.project.image_model import PlacedFile
from buildguard.startup.image_start import ImageStart
from buildguard.startup.image_tree import ImageTree
from buildguard.startup.named_packages import may_be_needed, who_names, who_requires

_COMPILED = (".pyx", ".c", ".cpp", ".rs", ".pyi")


class ModuleSearch(NamedTuple):
    """What a search gave: the file in the image with its path there, or the files of the project that would be it, or neither.

    `package` is the folder of a package. `unknown` says why the search decides nothing. `lost` are paths of the project that
    are not in the image; beside a `package` they would have been its `__init__.py`, and its import succeeds without their names.
    """

    path: str = ""
    file: PlacedFile | None = None
    package: str = ""
    lost: tuple[str, ...] = ()
    unknown: str = ""
    is_top: bool = True

    @property
    def is_missing(self) -> bool:
        """Whether the module is certainly not in the image, as far as the project goes."""
        return not (self.path or self.package or self.unknown)


# The tree of an image does not change; with it goes what was looked up there.
_RESULTS: WeakKeyDictionary[ImageTree, dict[tuple[str, str], ModuleSearch]] = WeakKeyDictionary()


def search(image: ImageStart, module: str, search_path: Sequence[str]) -> ModuleSearch:
    """Look up a dotted name on a search path."""
    top, *rest = module.split(".")
    step = _search_top(image, top, search_path)
    for name in rest:
        if step.is_missing or step.unknown:
            return step
        if not step.package:
            return ModuleSearch(is_top=False)
        step = _search_in(image, step.package, name)._replace(is_top=False)
    return step


def search_absolute(image: ImageStart, module: str, search_path: Sequence[str]) -> ModuleSearch:
    """The same for a name that an installed package may bring.

    It comes before a folder without `__init__.py`, wherever it is on the path, and before what the image does not have.
    """
    result = search(image, module, search_path)
    if result.file is not None or result.unknown:
        return result
    top = _search_top(image, module.partition(".")[0], search_path)
    is_own = top.path or not (top.package or top.lost)
    doubt = "" if is_own else _who_brings(image, module.partition(".")[0])
    return result._replace(unknown=doubt) if doubt else result


def _search_top(image: ImageStart, name: str, search_path: Sequence[str]) -> ModuleSearch:
    results = [_search_in(image, folder, name) for folder in search_path]
    regular = next((result for result in results if result.path), None)
    if regular is not None:
        before = results[: results.index(regular)]
        unknown = next((result.unknown for result in before if result.unknown), "")
        return ModuleSearch(unknown=unknown) if unknown else regular
    return _merge(results)


def _merge(results: Iterable[ModuleSearch]) -> ModuleSearch:
    """Of several places without the module: what is unknown counts first, then a namespace package, then what is lost."""
    merged = ModuleSearch()
    for result in results:
        if result.unknown:
            return result
        if result.package and not merged.package:
            merged = result
        if not merged.package:
            merged = merged._replace(lost=merged.lost + result.lost)
    return merged


def _search_in(image: ImageStart, folder: str, name: str) -> ModuleSearch:
    """One name in one folder of the image; each is looked up once."""
    results = _RESULTS.setdefault(image.tree, {})
    if (folder, name) not in results:
        results[folder, name] = _look_in(image, folder, name)
    return results[folder, name]


def _look_in(image: ImageStart, folder: str, name: str) -> ModuleSearch:
    base = posixpath.join(folder, name)
    for path, package in ((f"{base}/__init__.py", base), (f"{base}.py", "")):
        image_file = image.tree.find(path)
        if image_file is not None:
            return ModuleSearch(path, image_file, package)
    lost = [
        source
        for path in (f"{base}/__init__.py", f"{base}.py", base)
        for source in image.tree.project_paths(path)
        if _is_lost(image, source, is_folder=path == base)
    ]
    package = base if image.tree.is_folder(base) else ""
    if package and not lost:
        return ModuleSearch(package=package)
    return ModuleSearch(package=package, lost=tuple(dict.fromkeys(lost)), unknown=_why_unknown(image, base))


def _why_unknown(image: ImageStart, base: str) -> str:
    """Why a module may be there all the same; empty where nothing may bring it."""
    unknown = image.tree.why_unknown(f"{base}.py") or image.tree.why_unknown(f"{base}/__init__.py")
    paths = (source for suffix in _COMPILED for source in image.tree.project_paths(base + suffix))
    compiled = next(filter(image.files.has, paths), None)
    return unknown or (f"{compiled} may be compiled" if compiled is not None else "")


def _is_lost(image: ImageStart, source: str, *, is_folder: bool) -> bool:
    if image.tree.holds(source) is not None:
        return False
    if source in image.files.submodules:
        return is_folder
    if not is_folder:
        return image.files.is_file(source)
    return any(path.endswith(".py") for path in image.files.below(source)) and not any(
        image.tree.holds(path) for path in image.files.below(source)
    )


def may_be_installed(image: ImageStart, module: str) -> str:
    """Why a module that the project lacks may be installed all the same; empty where nothing hints at it."""
    top = module.partition(".")[0]
    if image.tree.installs_project and top not in sys.stdlib_module_names:
        return "the project is installed as a package"
    return _who_brings(image, top) or who_names(image, top)


def _who_brings(image: ImageStart, top: str) -> str:
    """Why Python or a package that is asked for may bring a module, whatever the project has; empty where nothing hints at it."""
    if top in sys.stdlib_module_names:
        return f"{top} is in the standard library"
    return who_requires(image, top) or may_be_needed(image, top)
