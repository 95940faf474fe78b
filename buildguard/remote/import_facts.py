"""What a source imports and binds, read from its syntax tree beside `compile()`; nothing of it is run.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. The result is a value of JSON:

imports  rows of line, column (from 1, in code points), form ("import", "from", "call"), module, names, level, guard, late, lazy
bound    each name that the module binds at any place, with the first line where it does
exports  the names in a literal `__all__`; null without one, or where it is computed
dynamic  whether names appear in ways that this pass does not follow (`__getattr__`, `globals()`, `exec`, `sys.modules`)
paths    rows of line and folder that the module adds to `sys.path`; null where the folder is computed, "@" is the module's own
evaluated rows of line, column, kind, text and guard: type expressions that run at import and need a newer Python
attributes rows of line, column, module, name, guard and late: names taken from the standard library by a dot that not every Python has
patched  names that the module sets in others ("collections.Mapping"), in sources that have such attributes
unsure   names that the module binds but may lack in the end: under a condition, in a function, deleted; "*" for all of them
version  the target's, as far as it is known
"""

import ast
import re
import sys

from buildguard.remote.evaluated_types import TypeReader, may_evaluate, typed_bytes
from buildguard.remote.import_codes import (
    UnclearImportError,
    may_change_paths,
    plain_exports,
    plain_reader,
)
from buildguard.remote.import_outline import (
    CALLER,
    SPOKEN,
    all_codes,
    all_nodes,
    bare_blocks,
    bound_names,
    imports_in,
    line_starts,
    names_bound_again,
    outline_of,
    statements_with,
    store_offsets,
    uses_in,
)
from buildguard.remote.import_pieces import ImportPieces, NameOrigins, PieceEvaluator
from buildguard.remote.import_reader import FactReader
from buildguard.remote.import_sure import unsure_names
from buildguard.remote.import_tests import Evaluator
from buildguard.remote.library_attributes import (
    ANNOTATIONS_LATE_FROM,
    AttributeReader,
    has_future,
    may_use,
    module_names,
    uses_of,
)

ENCODER = []  # type: list[object]
# What the facts of a source are made of, and how it is written.
PROOF = {"a": ['\u00e9\n"\ud800\U0001f600', 10, None, True, False, [], {}], "b": [[1, "x"]]}
PROOF_AS_JSON = '{"a":["\\u00e9\\n\\"\\ud800\\ud83d\\ude00",10,null,true,false,[],{}],"b":[[1,"x"]]}'
LARGEST = 2 << 20  # bytes of a source that is still read: larger ones are data
DYNAMIC = frozenset({"globals", "exec", "modules", "meta_path", "path_hooks"})
DYNAMIC_AT_TOP = frozenset({"vars", "locals", "eval", "__dict__", "setattr"})
GLOBAL = re.compile(rb"global\b([^\n;#]*)")  # what functions change is no constant
WORD = re.compile(rb"[\w\x80-\xff]+")
# In the flags of code whose annotations are text: of 3.8, and from 3.9 on.
ANNOTATIONS = 0x100000 if sys.version_info < (3, 9) else 0x1000000


def facts_here(data, code):
    """The facts for the Python that runs this, as JSON; empty where they are unknown."""
    return import_facts(data, code, sys.version_info, "linux")


def facts_for(version):
    """What reads facts for another version than that of the Python that runs this."""
    wanted = tuple(int(part) for part in version.split("."))
    return lambda data, code: import_facts(data, code, wanted, "linux")


def import_facts(data: bytes, code: object, version: object, platform: str) -> bytes:
    """The facts of a source that was compiled to `code`, for a version as `sys.version_info`; empty where they are unknown."""
    try:
        if len(data) > LARGEST or sys.version_info < (3, 8):
            return b""
        text = encoder()(read_facts(data, code, version, platform))  # type: str
        return text.encode("ascii")
    except Exception:  # RecursionError, MemoryError, a tree of a Python that is newer than this text
        return b""


def encoder():
    """What writes JSON, made once: making it costs more than what it writes for a source."""
    if not ENCODER:
        try:
            ENCODER.append(bare_encoder())
        except Exception:  # not of this Python
            import json

            ENCODER.append(json.JSONEncoder(separators=(",", ":"), check_circular=False).encode)
    return ENCODER[0]


def bare_encoder():
    """What CPython's `json` writes with, without loading the rest of it, half of which are patterns for reading."""
    from _json import encode_basestring_ascii, make_encoder

    encode = make_encoder(None, None, encode_basestring_ascii, None, ":", ",", False, False, True)
    if "".join(encode(PROOF, 0)) != PROOF_AS_JSON:
        raise ValueError("it writes something else")
    return lambda value: "".join(encode(value, 0))


def read_facts(data, code, version, platform):
    """The same; raises whatever the parser or this pass raises."""
    codes = all_codes(code)
    names = set().union(*[part.co_names for part in codes])
    lines = line_starts(code)
    nested = codes if b"global" in data or b":=" in data else ()
    offsets = store_offsets(code, nested)
    bound = bound_names(offsets, nested, lines)
    dynamic = is_dynamic(code, names, bound)
    facts = {"imports": [], "bound": bound, "exports": None, "dynamic": dynamic, "paths": [], "evaluated": []}
    facts["attributes"], facts["patched"] = [], []
    facts["unsure"] = unsure_names(data, (code, nested), bound, offsets, codes if dynamic else ())
    facts["version"] = list(version[:3])
    facts.update(facts_of_text(data, codes, (names, bound, version, platform), lines))
    return facts


def facts_of_text(data, codes, how, lines):
    """What imports, exports and names by a dot are, for which code alone does not suffice; `how` is as `read_tree` takes it."""
    names, _bound, version, platform = how
    uses = uses_of(data, codes, names) if may_use(data, names) else ()
    typed = typed_source(data, codes[0], names, version[1])
    facts = {}
    if b"import" in data or b"__all__" in data or typed is not None:
        how += (typed,)
        reader = None if typed is not None else plain_reader(data, names, lines)
        facts = None if reader is None else plain_facts(data, codes, how, reader, uses)
        if facts is None:
            facts = tree_facts(data, codes, how, {} if reader is None else reader.read_blocks(codes[0]))
    if uses is None or (uses and "attributes" not in facts):
        facts["attributes"], facts["patched"] = read_attributes(data, names, version, platform)
    return facts


def is_dynamic(code, names, bound):
    """Whether names appear in ways that this pass does not follow; `names` are those of all code."""
    return bool(DYNAMIC_AT_TOP.intersection(code.co_names) or not DYNAMIC.isdisjoint(names) or "__getattr__" in bound)


def typed_source(data, code, names, minor):
    """What finds types in a source that may evaluate them; what adds folders to `sys.path` in a function is read with them."""
    typed = typed_bytes(minor)
    if typed is None or not typed.search(data):
        return None
    return typed if may_evaluate(code, names, minor) or may_change_paths(data, names) else None


def read_attributes(data, names, version, platform):
    """The rows of the names that are taken from the standard library by a dot, and those that are set: few sources have any."""
    tree = ast.parse(data)
    nodes = all_nodes(tree)
    found = [node for node in nodes if isinstance(node, ast.Attribute)]
    attributes = AttributeReader(module_names(nodes), version[1] >= ANNOTATIONS_LATE_FROM or has_future(tree))
    if attributes.are_taken(found):
        reader = FactReader(data, names, Evaluator(version, platform, names))
        reader.attributes = attributes
        reader.read(tree)
    return attributes.rows, attributes.patched(nodes, found)


def plain_facts(data, codes, how, reader, uses):
    """Imports and exports, where no syntax tree of all of it is needed to read them; None elsewhere.

    `how` is what `read_tree` takes beside texts. With `uses`, as `uses_of` finds them, the attributes are there too unless
    only a tree shows them.
    """
    try:
        split = ImportPieces(reader, codes[0], data, uses or ())
        pieces = read_pieces(split, codes, how, reader) if split.pieces else None
    except (UnclearImportError, SyntaxError, ValueError):
        return None if not uses else plain_facts(data, codes, how, reader, ())
    facts = {"imports": split.rows if pieces is None else sorted(split.rows + pieces.imports, key=line_of)}
    if pieces is not None and pieces.attributes is not None:
        facts["attributes"] = pieces.attributes.rows
    words = data.count(b"__all__")
    if not words:
        return facts
    if pieces is not None and words == sum(piece[2].count(b"__all__") for piece in split.pieces):
        facts["exports"] = pieces.exports.names(codes)
        return facts
    facts["exports"] = plain_exports(data, how[1])
    if facts["exports"] is not None:
        return facts
    parts = read_exports(data, codes[0])
    if parts is not None:
        facts["exports"] = parts.exports.names(codes[:1])
    return None if parts is None else facts


def read_pieces(split, codes, how, reader):
    """What has read the pieces of a module with its guarded imports; raises UnclearImportError where these do not show all of them."""
    names, _bound, version, platform, _typed = how
    origins = NameOrigins(codes[0], reader, split)
    values = PieceEvaluator(version, platform, names, origins)
    values.forget(names_rebound(split.data, codes[0]))
    facts = FactReader(split.data, names, values)
    if split.words:
        modules = {word: origins.module_of(word, codes) for word in split.words}
        is_late = version[1] >= ANNOTATIONS_LATE_FROM or bool(codes[0].co_flags & ANNOTATIONS)
        facts.attributes = AttributeReader(modules, is_late)
    ended = [facts.read_piece(*piece) for piece in split.pieces]
    if True in ended:
        raise UnclearImportError
    # what the compiler made of the whole proves it: as many imports, of the same modules
    if facts.count + len(split.rows) != imports_in(codes) or not names.issuperset(facts.modules):
        raise UnclearImportError
    return facts


def names_rebound(data, code):
    """What functions of the module may change, and what its own code binds again: no constants."""
    lines = []
    if b"global" in data:
        found = GLOBAL.finditer(data)
        lines = [match.group(1) for match in found if not WORD.match(data, max(0, match.start() - 1), match.start())]
    names = [name.decode("utf-8", "replace") for line in lines for name in WORD.findall(line)]
    return names + names_bound_again(code)


def read_exports(data, code):
    """What has read the statements that name `__all__`; None where they may not be all, or not be whole."""
    text = statements_with(data, b"__all__")
    if b"__all__ as" in text or b"\r" in data or b"\f" in data or not text.isascii():
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    # what the compiler made of the module proves it: as many uses of the name
    nodes = all_nodes(tree)
    uses = [node for node in nodes if isinstance(node, ast.Name) and node.id == "__all__"]
    changes = [node for node in nodes if isinstance(node, ast.AugAssign) and node.target in uses]
    if len(uses) + len(changes) != uses_in(code, "__all__"):
        return None
    reader = FactReader(text, (), Evaluator(sys.version_info, "linux", ()))
    reader.read(tree)
    return reader


def tree_facts(data, codes, how, blocks):
    """What a syntax tree shows: of an outline of the source, if that holds every import that the compiler saw.

    `how` is what `read_tree` takes beside texts. `blocks` are rows of functions and classes that need no tree, by their line.
    """
    blocks, outline, left_out = outline_beside(data, codes, how, blocks)
    rows = [row for line in left_out for row in blocks[line]]
    try:
        reader = None if outline is None else read_tree(outline, data, codes[0], *how)
    except (SyntaxError, ValueError):
        reader = None
    compiled = imports_in(codes)
    # what the compiler made of the whole proves the outline: as many imports, of the same modules
    if reader is None or reader.count + len(rows) != compiled or not how[0].issuperset(reader.modules):
        reader, rows = read_tree(data, data, codes[0], *how), []
        # a `finally` is compiled more than once; else a statement of a newer Python holds what was not read
        if compiled > reader.count and (b"finally" not in data or not reader.count):
            raise ValueError("an import is in a statement that is not known here")
    return {
        "imports": sorted(reader.imports + rows, key=line_of) if rows else reader.imports,
        "paths": reader.paths,
        "exports": reader.exports.names(codes),
        "evaluated": reader.types.rows if reader.types is not None else [],
    }


def outline_beside(data, codes, how, blocks):
    """Blocks that need no tree, those without imports as well; the outline of the others, and the lines of what it leaves out."""
    if not SPOKEN.isdisjoint(how[0]) and CALLER.search(data):
        return blocks, None, []  # any statement may import under another name
    is_whole = may_change_paths(data, how[0])
    if how[-1] is None and not is_whole:
        blocks = {**dict.fromkeys(bare_blocks(codes[0]), ()), **blocks}
    return (blocks,) + outline_of(data, how[-1], blocks, is_whole=is_whole)


def line_of(row):
    """The line of a row: rows of one line keep their order."""
    return row[0]


def read_tree(text, data, code, names, bound, version, platform, typed):
    """What a reader finds in the text of a source, or in the outline of it."""
    reader = FactReader(data, names, Evaluator(version, platform, names))
    reader.values.forget(names_rebound(data, code))
    if typed is not None:
        reader.types = TypeReader(version[1], bound, reader.values)
    reader.read(ast.parse(text))
    return reader
