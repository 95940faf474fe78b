"""What a source imports and binds, read from its syntax tree beside `compile()`; nothing of it is run.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks. The result is a value of JSON:

imports  rows of line, column (from 1, in code points), form ("import", "from", "call"), module, names, level, guard, late, lazy
bound    each name that the module binds at any place, with the first line where it does
exports  the names in a literal `__all__`; null without one, or where it is computed
dynamic  whether names appear in ways that this pass does not follow (`__getattr__`, `globals()`, `exec`, `sys.modules`)
handlers rows of line, column, guard and tries for imports in handlers: they run where each `try` ended so, under that guard. A try is
         its end and the lines of its imports: one "fails", one "lacks" its module, or each "works"
paths    rows of line and folder that the module adds to `sys.path`; null where the folder is computed, "@" is the module's own
evaluated rows of line, column, kind, text and guard: type expressions that run at import and need a newer Python
attributes rows of line, column, module, name, guard and late: names taken from the standard library by a dot that not every Python has
patched  names that the module sets in others ("collections.Mapping"), in sources that have such attributes
unsure   names that the module binds but may lack in the end: under a condition, in a function, deleted; "*" for all of them
uses     rows of name, level, module, imported name and uses: what the module takes by a dot from imports, each with its first line
version  the target's, as far as it is known
"""

import ast
import re
import sys

from buildguard.remote.evaluated_types import TypeReader, may_evaluate, typed_bytes
from buildguard.remote.import_codes import CALLERS, module_uses, plain_exports, plain_reader
from buildguard.remote.import_outline import (
    CallLines,
    all_nodes,
    has_other_caller,
    lines_with,
    outline_of,
    outline_with,
    statements_with,
)
from buildguard.remote.import_paths import SysPathReader, may_change_paths
from buildguard.remote.import_pieces import ImportPieces, NameOrigins, PieceEvaluator, UnclearLinesError
from buildguard.remote.import_reader import FactReader
from buildguard.remote.import_tests import Evaluator
from buildguard.remote.library_attributes import (
    ANNOTATIONS_LATE_FROM,
    WORD,
    AttributeReader,
    has_future,
    may_use,
    module_names,
    uses_of,
)
from buildguard.remote.module_code import SPOKEN, ModuleCode, UnclearImportError, unsure_names

ENCODER = []  # type: list[object]
# What the facts of a source are made of, and how it is written.
PROOF = {"a": ['\u00e9\n"\ud800\U0001f600', 10, None, True, False, [], {}], "b": [[1, "x"]]}
PROOF_AS_JSON = '{"a":["\\u00e9\\n\\"\\ud800\\ud83d\\ude00",10,null,true,false,[],{}],"b":[[1,"x"]]}'
LARGEST = 2 << 20  # bytes of a source that is still read: larger ones are data
DYNAMIC = frozenset({"globals", "exec", "modules", "meta_path", "path_hooks"})
DYNAMIC_AT_TOP = frozenset(
    {
        "vars",
        "locals",
        "eval",
        "__dict__",
        "setattr",
        "global_enum",
        "_convert_",
        "_convert",
    }  # of `enum`, the last three
)
GLOBAL = re.compile(rb"global\b([^\n;#]*)")  # what functions change is no constant
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
    module = ModuleCode(data, code)
    offsets, bound = module.bindings()
    dynamic = is_dynamic(module, bound)
    facts = {"imports": [], "bound": bound, "exports": None, "dynamic": dynamic, "paths": [], "evaluated": []}
    facts["attributes"], facts["patched"], facts["handlers"] = [], [], []
    facts["unsure"] = unsure_names(module, bound, offsets, dynamic)
    facts["uses"] = module_uses(module)
    facts["version"] = list(version[:3])
    facts.update(facts_of_text(module, bound, (version, platform)))
    return facts


def facts_of_text(module, bound, target):
    """What imports, exports and names by a dot are, for which code alone does not suffice; `target` is a version and a platform."""
    data, names = module.data, module.names
    uses, words = uses_of(module) if may_use(data, names) else ((), ())
    typed = typed_source(module, target[0][1])
    facts = {}
    if typed is not None or b"import" in data or "__all__" in names:
        reader = None if typed is not None else plain_reader(module)
        facts = None if reader is None else plain_facts(module, bound, target, reader, uses or ())
        if facts is None:
            facts = tree_facts(module, bound, target, typed, {} if reader is None else reader.read_blocks())
    if uses is None or (uses and "attributes" not in facts):
        facts.update(read_attributes(module, target, words))
    return facts


def is_dynamic(module, bound):
    """Whether names appear in ways that this pass does not follow."""
    return not (
        DYNAMIC_AT_TOP.isdisjoint(module.code.co_names)
        and DYNAMIC.isdisjoint(module.names)
        and "__getattr__" not in bound
    )


def typed_source(module, minor):
    """What finds types in a source that may evaluate them; what adds folders to `sys.path` in a function is read with them."""
    typed = typed_bytes(minor)
    data, names = module.data, module.names
    if typed is None or not typed.search(data):
        return None
    return typed if may_evaluate(module.code, names, minor) or may_change_paths(data, names) else None


def read_attributes(module, target, words):
    """The rows of the names that are taken from the standard library by a dot, and those that are set: few sources need a tree for it.

    The words stand for the modules of these names.
    """
    version, platform = target
    try:
        tree = ast.parse(outline_with(module.data, words))
    except SyntaxError:
        tree = ast.parse(module.data)
    nodes = all_nodes(tree)
    found = [node for node in nodes if isinstance(node, ast.Attribute)]
    attributes = AttributeReader(module_names(nodes), version[1] >= ANNOTATIONS_LATE_FROM or has_future(tree))
    taken = attributes.taken_in(found)
    if taken:
        reader = FactReader(module.data, module.names, Evaluator(version, platform, module.names))
        reader.attributes = attributes
        reader.wanted = taken
        reader.need(module.data)
        reader.read(tree)
    return {"attributes": attributes.rows, "patched": attributes.patched(nodes, found)}


def plain_facts(module, bound, target, reader, uses):
    """Imports and exports, where no syntax tree of all of it is needed to read them; None elsewhere.

    With `uses`, as `uses_of` finds them, the attributes are there too unless only a tree shows them.
    """
    data = module.data
    try:
        split, pieces = split_and_read(module, target, reader, uses)
    except (UnclearImportError, SyntaxError, ValueError):
        return None if not uses else plain_facts(module, bound, target, reader, ())
    facts = {"imports": split.rows if pieces is None else sorted(split.rows + pieces.imports, key=line_of)}
    if pieces is not None and pieces.handlers:
        facts["handlers"] = pieces.handlers
    if pieces is not None and pieces.attributes is not None:
        facts["attributes"] = pieces.attributes.rows
    if "__all__" not in module.names:
        return facts
    if pieces is not None and data.count(b"__all__") == sum(piece[2].count(b"__all__") for piece in split.pieces):
        facts["exports"] = pieces.exports.names(module)
        return facts
    facts["exports"] = plain_exports(data, bound)
    if facts["exports"] is not None:
        return facts
    parts = read_exports(module)
    if parts is not None:
        facts["exports"] = exports_of(parts.exports, split, reader, target)
    return None if parts is None else facts


def exports_of(exports, split, reader, target):
    """The names that the statements with `__all__` show; where something decides about one, so do those that its test asks for."""
    module = split.module
    if not exports.is_guarded:
        return exports.names(module)
    try:
        lines = split.lines + lines_with((b"__all__",), module.data)
        pieces = split_and_read(module, target, reader, (), lines)[1]
    except (UnclearImportError, SyntaxError, ValueError):
        return None
    return pieces.exports.names(module)


def split_and_read(module, target, reader, uses, lines=()):
    """A module's plain imports, and what has read the statements around the others, and around some lines.

    Where the value of a name is unclear, the statements that bind it are among those. Raises UnclearImportError.
    """
    lines = {module.data.count(b"\n", 0, at) + 1 for at, _word in uses}.union(lines)
    if not CALLERS.isdisjoint(module.names):
        lines.update(CallLines(module.data).lines)
    words = {word for _at, word in uses}
    trees = {}  # type: dict[bytes, ast.AST]
    while True:
        try:
            split = ImportPieces(reader, lines)
            if not split.pieces:
                return split, None
            if not lines.issuperset(
                split.star_lines
            ):  # what it brings may have another value than a constant of the pieces
                lines.update(split.star_lines)
                continue
            pieces = read_pieces(split, target, NameOrigins(reader, split), (words, trees))
        except UnclearLinesError as error:
            if lines.issuperset(error.lines):
                raise
            lines.update(error.lines)
        else:
            return split, pieces


def read_pieces(split, target, origins, words_and_trees):
    """What has read the pieces of a module with its guarded imports; raises UnclearImportError where these do not show all of them.

    The words stand for modules of the standard library of which names are taken by a dot; the trees are those of texts that were
    read before, and more are added.
    """
    words, trees = words_and_trees
    module = split.module
    version, platform = target
    values = PieceEvaluator(version, platform, module.names, origins)
    values.forget(names_rebound(module))
    facts = FactReader(module.data, module.names, values)
    if words:
        modules = {word: origins.module_of(word) for word in words}
        is_late = version[1] >= ANNOTATIONS_LATE_FROM or bool(module.code.co_flags & ANNOTATIONS)
        facts.attributes = AttributeReader(modules, is_late)
    facts.wanted = split.lines
    for line, stop, text, is_inner in split.pieces:
        ended = facts.read_piece(line, text, is_inner, trees)
        if ended == "false" or (ended and split.last_line >= stop):
            raise UnclearImportError
    # what the compiler made of the whole proves it: as many imports, of the same modules
    if facts.count + len(split.rows) != module.count_imports() or not module.names.issuperset(facts.modules):
        raise UnclearImportError
    return facts


def names_rebound(module):
    """What functions of the module may change, and what its own code binds again: no constants."""
    data = module.data
    lines = []
    if b"global" in data:
        found = GLOBAL.finditer(data)
        lines = [match.group(1) for match in found if not WORD.match(data, max(0, match.start() - 1), match.start())]
    names = [name.decode("utf-8", "replace") for line in lines for name in WORD.findall(line)]
    return names + module.names_bound_again()


def read_exports(module):
    """What has read the statements that name `__all__`; None where they may not be all, or not be whole."""
    data = module.data
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
    if len(uses) + len(changes) != module.uses_of("__all__"):
        return None
    reader = FactReader(text, (), Evaluator(sys.version_info, "linux", ()))
    reader.read(tree)
    return reader


def tree_facts(module, bound, target, typed, blocks):
    """What a syntax tree shows: of an outline of the source, if that holds every import that the compiler saw.

    `typed` finds types in it, or is None. `blocks` are rows of functions and classes that need no tree, by their line.
    """
    blocks, outline, left_out = outline_beside(module, typed, blocks)
    rows = [row for line in left_out for row in blocks[line]]
    try:
        reader = None if outline is None else read_tree(outline, module, bound, target, typed)
    except (SyntaxError, ValueError):
        reader = None
    compiled = module.count_imports()
    # what the compiler made of the whole proves the outline: as many imports, of the same modules
    if reader is None or reader.count + len(rows) != compiled or not module.names.issuperset(reader.modules):
        reader, rows = read_tree(module.data, module, bound, target, typed), []
        # a `finally` is compiled more than once; else a statement of a newer Python holds what was not read
        if compiled > reader.count and (b"finally" not in module.data or not reader.count):
            raise ValueError("an import is in a statement that is not known here")
    return {
        "imports": sorted(reader.imports + rows, key=line_of) if rows else reader.imports,
        "handlers": reader.handlers,
        "paths": reader.paths.rows if reader.paths is not None else [],
        "exports": reader.exports.names(module),
        "evaluated": reader.types.rows if reader.types is not None else [],
    }


def outline_beside(module, typed, blocks):
    """Blocks that need no tree, those without imports as well; the outline of the others, and the lines of what it leaves out."""
    data, names = module.data, module.names
    if not SPOKEN.isdisjoint(names) and has_other_caller(data):
        return blocks, None, []  # any statement may import under another name
    is_whole = may_change_paths(data, names)
    if typed is None and not is_whole:
        blocks = {**dict.fromkeys(module.bare_blocks(), ()), **blocks}
    return (blocks,) + outline_of(data, typed, blocks, is_whole=is_whole)


def line_of(row):
    """The line of a row: rows of one line keep their order."""
    return row[0]


def read_tree(text, module, bound, target, typed):
    """What a reader finds in the text of a source, or in the outline of it."""
    version, platform = target
    reader = FactReader(module.data, module.names, Evaluator(version, platform, module.names))
    reader.values.forget(names_rebound(module))
    if typed is not None:
        reader.types = TypeReader(version[1], bound, reader.values)
    if may_change_paths(module.data, module.names):
        reader.paths = SysPathReader(module.data, module.names, reader.values)
    if typed is None:
        reader.need(text)
    reader.read(ast.parse(text))
    return reader
