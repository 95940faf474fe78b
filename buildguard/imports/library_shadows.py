"""Files of the project that stand in for a module which only the standard library itself imports: `token.py`, `email.py`. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from types import MappingProxyType

from buildguard.imports.execution import is_guarded
from buildguard.imports.faults import FactsReader, FaultKind, ImportFault
from buildguard.imports.import_graph import ImportEdge, ImportGraph, ReachedModule, has_source
from buildguard.imports.names import LoadedModule, NameReader
from buildguard.imports.records import Bound
from buildguard.imports.resolver import ImportKind

# What the import of a module of the standard library takes from another one, in each Python from 3.8 to 3.13: the names, one of
# which it fails without, and the modules whose import does. Left out is what Python or an installed package may load before.
_NEEDS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "base64": ("b64encode", "email.message email.mime.multipart email.mime.text http.client http.server smtplib urllib.request wsgiref.simple_server xmlrpc.client"),
    "bdb": ("Bdb", "pdb"),
    "bisect": ("bisect", "imaplib importlib.resources multiprocessing.pool random secrets smtplib statistics tempfile urllib.request"),
    "cmd": ("Cmd", "pdb"),
    "concurrent": ("futures", "asyncio unittest.mock"),
    "copy": ("deepcopy", "smtplib xml.etree.ElementTree"),
    "datetime": ("date datetime", "imaplib plistlib sqlite3 xmlrpc.client"),
    "decimal": ("Decimal", "fractions statistics xmlrpc.client"),
    "dis": ("COMPILER_FLAG_NAMES", "asyncio dataclasses inspect pdb unittest.mock"),
    "email": ("parser utils", "http.client http.server smtplib urllib.request wsgiref.simple_server xmlrpc.client"),
    "fnmatch": ("fnmatch", "unittest unittest.mock"),
    "fractions": ("Fraction", "statistics"),
    "gettext": ("gettext", "argparse unittest unittest.mock"),
    "gzip": ("GzipFile", "xmlrpc.client"),
    "hmac": ("compare_digest", "secrets"),
    "http": ("client server", "urllib.request wsgiref.simple_server xmlrpc.client"),
    "inspect": ("CO_GENERATOR", "pdb"),
    "locale": ("normalize", "optparse"),
    "logging": ("getLogger", "asyncio concurrent.futures unittest.mock venv"),
    "numbers": ("Number", "decimal fractions statistics xmlrpc.client"),
    "opcode": ("__all__", "asyncio dataclasses inspect pdb unittest.mock"),
    "pathlib": ("Path PurePosixPath", "importlib.metadata importlib.resources"),
    "platform": ("python_implementation", "wsgiref.simple_server"),
    "quopri": ("encodestring", "email.message email.mime.multipart email.mime.text http.client http.server smtplib urllib.request wsgiref.simple_server xmlrpc.client"),
    "random": ("Random SystemRandom", "importlib.resources multiprocessing.pool secrets tempfile urllib.request"),
    "selectors": ("SelectSelector", "asyncio http.server imaplib logging.config multiprocessing.pool socketserver subprocess unittest.mock venv wsgiref.simple_server"),
    "socket": ("AF_INET AF_UNSPEC _GLOBAL_DEFAULT_TIMEOUT socket", "asyncio ftplib http.client http.server logging.config multiprocessing multiprocessing.pool smtplib socketserver ssl unittest.mock urllib.request wsgiref.simple_server xmlrpc.client"),
    "ssl": ("SSLSocket", "ftplib"),
    "string": ("Template ascii_letters", "asyncio cmd concurrent.futures email.message email.mime.multipart email.mime.text http.client http.cookies http.server logging logging.config logging.handlers pdb smtplib unittest.mock urllib.request venv wsgiref.simple_server xmlrpc.client"),
    "struct": ("calcsize pack", "ctypes importlib.metadata logging.config logging.handlers multiprocessing multiprocessing.pool pickle shelve zipfile"),
    "subprocess": ("PIPE _args_from_interpreter_flags", "asyncio multiprocessing.pool unittest.mock"),
    "tempfile": ("_TemporaryFileWrapper", "urllib.request"),
    "threading": ("RLock local", "asyncio concurrent.futures logging logging.config logging.handlers multiprocessing multiprocessing.pool unittest.mock venv"),
    "token": ("EXACT_TOKEN_TYPES", "asyncio dataclasses inspect pdb unittest unittest.mock"),
    "traceback": ("extract_stack", "asyncio unittest.mock"),
    "urllib": ("parse", "email.message email.mime.multipart email.mime.text email.utils http.client http.server mimetypes smtplib wsgiref.simple_server xmlrpc.client"),
    "xml": ("parsers", "plistlib xmlrpc.client"),
})  # fmt: skip
_MEASURED = ((3, 8), (3, 13))


def find_library_shadows(
    graph: ImportGraph,
    names: NameReader,
    reached: Mapping[str, ReachedModule],
    facts: FactsReader,
    known: Container[str],
) -> Iterator[ImportFault]:
    """The first import of the standard library that fails because it gets a file of the project; but of those `known` already.

    With two such files one may keep the other from being imported. An installed package may have loaded the real module at the
    start of Python, so that none is certain.
    """
    shadows = [*_shadows(graph)]
    lost = _lost(names, shadows[0]) if len(shadows) == 1 and shadows[0].name not in known else ""
    faults = (
        (fault for item in reached.values() for fault in _faults(graph, item, shadows[0], lost)) if lost else iter(())
    )
    fault = next(faults, None)
    if fault is not None and _is_measured(facts, fault.module):
        yield fault


def _faults(graph: ImportGraph, item: ReachedModule, source: LoadedModule, lost: str) -> Iterator[ImportFault]:
    """The first import of a module that gets a source in place of the real module, which has a name that is lost then."""
    edge = _failing(graph, item, source.name)
    if edge is not None:
        yield ImportFault(
            FaultKind.SHADOWS, item.module, edge.row, lost, source, certain=False, chain=item.chain, detail=source.name
        )


def _shadows(graph: ImportGraph) -> Iterator[LoadedModule]:
    """The modules of the project that come before one of the standard library."""
    front = graph.resolver.path.front
    for name in _NEEDS if front and not graph.resolver.path.added else ():
        if graph.resolver.tree.find(name, front) is not None:
            source = graph.resolver.find(name).last
            if source is not None and has_source(source):
                yield source


def _failing(graph: ImportGraph, item: ReachedModule, name: str) -> ImportEdge | None:
    """The first import of a module that needs the real module of that name, and that its start surely executes."""
    entries = _NEEDS[name][1].split() if item.certain else ()
    for edge in graph.edges(item.module):
        is_outside = edge.resolution.kind is ImportKind.OUTSIDE and edge.certain and not is_guarded(edge.row)
        if is_outside and not _modules_of(edge).isdisjoint(entries):
            return edge
    return None


def _modules_of(edge: ImportEdge) -> set[str]:
    """The modules that an import of the standard library may run."""
    parts = edge.row.module.split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}.union(
        f"{edge.row.module}.{name}" for name in edge.row.names
    )


def _is_measured(facts: FactsReader, module: LoadedModule) -> bool:
    known = facts(module.location.file)
    return known is not None and _MEASURED[0] <= known.version[:2] <= _MEASURED[1]


def _lost(names: NameReader, source: LoadedModule) -> str:
    """A name that the standard library needs, where a module binds none of them."""
    needed = _NEEDS[source.name][0].split()
    return needed[0] if all(names.is_bound(source, name) is Bound.NO for name in needed) else ""
