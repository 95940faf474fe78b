"""The part of a module's source that holds imports: parsing all of it costs too much.

A part of the probe: the standard library alone, and no syntax that CPython 3.6 lacks.
"""

import ast
import re
from bisect import bisect_left
from itertools import accumulate

CONTINUATION = b"\\\n"  # what a line ends with that the next one goes on
DOUBLE, SINGLE = b'"' * 3, b"'" * 3  # the quotes of long texts
LONG_TEXT = 500  # bytes of a class or function from which on its parts are looked at
SHORT_TEXT = 48
MARGIN = re.compile(rb"\n[^\s#)\]}]")
CONTINUED = re.compile(rb"(?:else|elif|except|finally)\b")
BLOCK_START = re.compile(rb"(?:@|def\b|class\b|async[ \t]+def\b)")
DECORATED = re.compile(rb"\n(?:async[ \t]+)?(?:def|class)\b")
CLASS = re.compile(rb"(?:\A|\n)[ \t]*class\b")
BLOCK = re.compile(rb"\n([ \t]+)(?:async[ \t]+)?(def|class)[ \t]+([^\s(:\[\\]+)")
IMPORTS = re.compile(rb"(?:^|[\n;:])[ \t]*(?:lazy[ \t]+)?(?:import|from)\b|import_module|__import__")
COMPOUND = re.compile(rb"(?:if|try|with|for|while|match|async)\b")
# What guards of imports, and constants in them, are made of.
KEPT = re.compile(
    rb"__all__|\bsys\b|version|platform|os\.name|find_spec|hasattr|getattr|TYPE_CHECKING|\bPY[23]|\braise\b|exit"
    rb"|addsitedir|__file__|ImportError|NotFoundError|__getattr__"
)
# What changes of `sys.path` are made of.
PATHS = re.compile(rb"(?<!os\.)\bpath\b|addsitedir")

CALLING = (b"import_module", b"__import__")
CALLER = re.compile(rb"(?:import_module|__import__)[\s\\]+as[\s\\]+([\w\x80-\xff]+)")


# A function, alone or below what makes that of a class parse, with the margin of its first statement.
FUNCTION_START = re.compile(
    rb"(?s)(?:if 1:\n[ \t]+)?(?:@[^\n]*\n[ \t]*)*(?:async[ \t]+)?def\b.*?:[ \t]*(?:#[^\n]*)?\n([ \t]+)"
)
STATEMENT_START = rb"(?!else\b|elif\b|except\b|finally\b)[^\s#)\]}]"
HOLDING = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.ClassDef)
DECIDING = frozenset(("Raise", "Return", "Try", "TryStar", "Match"))

FIELDS = {ast.Constant: []}  # type: dict[type, list[str]]
LEAVES = frozenset(
    ("ctx", "op", "ops", "id", "attr", "kind", "lineno", "level", "type_comment", "conversion", "type_ignores")
)
SMALL = 2000  # bytes whose lines are listed at once
FEW_LOOKUPS = 12  # of lines, which take as long as listing them
FEW = 30  # lines to look for one by one
STEP = 2000  # bytes whose lines are counted at once, rather than looked for


class SourceLines:
    """Where the lines of a source begin; `\\n` alone ends them. The first few are looked for from the last one on."""

    def __init__(self, data):
        self.data = data
        self._line, self._begin = 1, 0
        self._left = 1 if len(data) < SMALL else FEW_LOOKUPS  # before all of them are listed
        self._ends = None  # how many bytes that end no line come before each line but the first

    def start_of(self, line):
        """Where a line begins. Raises ValueError where the source has fewer."""
        if self._ends is not None:
            return self._listed(line)
        self._left -= 1
        if not self._left:
            self._ends = list(accumulate(map(len, self.data.split(b"\n"))))
            return self._listed(line)
        data, number, begin = self.data, self._line, self._begin
        if line < number:
            number, begin = 1, 0
        while line - number > FEW:  # by many lines at a time
            lines = data.count(b"\n", begin, begin + STEP)
            if number + lines >= line or begin + STEP >= len(data):
                break
            number, begin = number + lines, begin + STEP
        while number < line:
            begin = data.index(b"\n", begin) + 1
            number += 1
        self._line, self._begin = number, data.rfind(b"\n", 0, begin) + 1
        return self._begin

    def _listed(self, line):
        if line < 2:
            return 0
        if line > len(self._ends):
            raise ValueError("no such line")
        return self._ends[line - 2] + line - 1

    def text_of(self, line):
        """A line without its end, and whether the line before it goes on in it. Raises ValueError where the source has fewer."""
        begin = self.start_of(line)
        end = self.data.find(b"\n", begin)
        return self.data[begin : len(self.data) if end < 0 else end], self.data[begin - 2 : begin] == b"\\\n"


def outline_of(data, typed, blocks, is_whole=False):
    """The statements of a source that imports depend on, each on its own line; parsing the rest costs most of the time.

    Statements begin at lines that are not indented. With `typed`, those stay too that it matches, and what classes are. Left out
    are the `blocks` that are read already, by their first line; those that were found come second. So is what comes after the
    last import, unless `is_whole` says that it matters: what changes `sys.path` stays then, wherever it is.
    """
    if b"\r" in data or b"\0" in data or b"\f" in data:
        return None, []
    spans, left_out = spans_of(data, blocks)
    last = len(spans) if is_whole or typed is not None else last_import(data, spans)
    pieces = []
    kept = 0
    for number, (start, stop, is_block) in enumerate(spans):
        text = data[start:stop]
        if number >= last:
            break
        if is_block or not is_needed(text, typed, is_whole):
            pieces.append(data[kept:start])
            pieces.append(b"\n" * text.count(b"\n"))
            kept = stop
        elif len(text) > LONG_TEXT and typed is None and BLOCK_START.match(text):
            pieces.append(data[kept:start])
            pieces.append(without_functions(text, has_changes if is_whole else has_imports))
            kept = stop
    pieces.append(data[kept : spans[last][0]] if last < len(spans) else data[kept:])
    return b"".join(pieces), left_out


def spans_of(data, blocks):
    """Where each statement at the left margin begins and ends, and whether it is one of the blocks; the lines of those."""
    spans, left_out = [], []
    start = counted = 0
    line = 1
    for stop, is_whole in statement_ends(data):
        if not is_whole:
            continue
        is_block = False
        if blocks and BLOCK_START.match(data, start):
            line += data.count(b"\n", counted, start)
            counted = start
            is_block = line in blocks
            left_out += [line] if is_block else []
        spans.append((start, stop, is_block))
        start = stop
    return spans, left_out


def last_import(data, spans):
    """The number of the statement after the last one that imports, or that names `__all__`."""
    for number in range(len(spans) - 1, -1, -1):
        start, stop, is_block = spans[number]
        if not is_block and (data.find(b"import", start, stop) >= 0 or data.find(b"__all__", start, stop) >= 0):
            return number + 1
    return 0


def statement_ends(data):
    """Where each statement at the left margin ends, and whether it is whole: no decorator, nothing that the next one goes on."""
    at = last = double = single = 0
    quotes = DOUBLE in data or SINGLE in data
    for match in MARGIN.finditer(data):
        stop = match.start() + 1
        if quotes:
            double += data.count(DOUBLE, last, stop)
            single += data.count(SINGLE, last, stop)
            last = stop
            if double % 2 or single % 2:
                continue  # inside of a long text
        is_decorator = data[at : at + 1] == b"@" and not DECORATED.search(data, at, stop)
        yield stop, not (is_decorator or CONTINUED.match(data, stop) or data[stop - 2 : stop] == CONTINUATION)
        if not is_decorator:
            at = stop
    yield len(data), True


def has_imports(text):
    """Whether some text imports."""
    return b"import" in text and IMPORTS.search(text) is not None


def has_changes(text):
    """Whether some text imports, or changes the path of modules."""
    return has_imports(text) or PATHS.search(text) is not None


def outline_with(data, words):
    """A source whose functions are empty, line for line, but for those that import, or that say one of some words."""
    if b"\r" in data or b"\f" in data:
        return data
    is_kept = re.compile(rb"\b(?:import|%s)\b" % b"|".join(sorted(map(re.escape, words)))).search
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            text = data[start:stop]
            is_bare = BLOCK_START.match(text) and not CLASS.search(text) and not is_kept(text)
            pieces.append(b"\n" * text.count(b"\n") if is_bare else without_functions(text, is_kept))
            start = stop
    return b"".join(pieces)


def statements_with(data, word):
    """The text of the statements at the left margin in which a word is."""
    pieces, start = [], 0
    for stop, is_whole in statement_ends(data):
        if is_whole:
            if data.find(word, start, stop) >= 0:
                pieces.append(data[start:stop])
            start = stop
    return b"".join(pieces)


def is_needed(text, typed, is_whole):
    """Whether imports, or what guards them, depend on a statement; with `is_whole` the path of modules too."""
    if is_whole and PATHS.search(text):
        return True
    if (b"import" in text and IMPORTS.search(text)) or (typed is not None and (typed.search(text) or b"class" in text)):
        return True
    if BLOCK_START.match(text):
        return False
    if len(text) < SHORT_TEXT:
        return b"=" in text or KEPT.search(text) is not None
    if len(text) > LONG_TEXT and not COMPOUND.match(text):
        return text.startswith(b"__all__")
    return KEPT.search(text) is not None


def without_functions(text, is_kept):
    """A class or function whose inner functions are empty, line for line, but for those that are kept by what they say."""
    pieces, kept = [], 0
    for match in BLOCK.finditer(text):
        start = match.start()
        if start < kept:
            continue
        stop = block_end(text, match.end(), len(match.group(1)))
        block = text[start:stop]
        if is_kept(block):
            continue
        indent, kind, name = match.groups()
        pieces.append(text[kept:start] + b"\n" + indent + kind + b" " + name)
        pieces.append((b"(): 0" if kind == b"def" else b": 0") + b"\n" * (block.count(b"\n") - 1))
        kept = stop
    pieces.append(text[kept:])
    return b"".join(pieces)


def block_end(text, at, indent):
    """Where a function or class ends: at the next line that begins no deeper, outside of long texts."""
    dedent = re.compile(rb"\n[ \t]{0,%d}[^\s#)\]}]" % indent)  # `re` keeps it
    start = at
    while True:
        end = dedent.search(text, at)
        if end is None:
            return len(text) - text.endswith(b"\n")
        if text.count(DOUBLE, start, end.start()) % 2 == 0 and text.count(SINGLE, start, end.start()) % 2 == 0:
            return end.start()
        at = end.end()


def tree_of(text, trees):
    """The tree of a text, which may be among those that are known."""
    tree = trees.get(text)
    if tree is None:
        tree = trees[text] = ast.parse(text)
    return tree


def tree_of_piece(text, last, is_inner, trees):
    """The tree of a statement; of a function without most of what comes after its `last` line that matters, if that parses.

    A cut within brackets, a text or a `try` does not. Any other leaves what matters, and what that depends on.
    """
    start = FUNCTION_START.match(text) if last > 0 else None
    cut = None if start is None else cut_after(text, last, start.group(1))
    tree = None if cut is None else tree_of_cut(cut, len(start.group(1)), is_inner, trees)
    return tree_of(text, trees) if tree is None else tree


def tree_of_cut(text, margin, is_inner, trees):
    """The tree of a function that was cut at a margin; None where it does not parse, or its statements have another one."""
    try:
        tree = tree_of(text, trees)
    except SyntaxError:
        return None
    function = tree.body[0].body[0] if is_inner else tree.body[0]
    return tree if function.body[0].col_offset == margin else None


def cut_after(text, line, margin):
    """A text up to the first statement at a margin that is behind a line; None without one."""
    parts = text.split(b"\n", line)
    if len(parts) <= line:
        return None
    end = re.compile(b"\n" + margin + STATEMENT_START)  # `re` keeps it
    match = end.search(text, len(text) - len(parts[line]) - 1)
    return text[: match.start() + 1] if match is not None else None


def places_of(words, data):
    """Where some words are in a source, in any order: a search for one of several takes far longer."""
    places = []
    for word in words:
        at = data.find(word)
        while at >= 0:
            places.append(at)
            at = data.find(word, at + 1)
    return places


def has_other_caller(data):
    """Whether a source imports by functions that it gives names of its own."""
    return any(CALLER.match(data, at) for at in places_of(CALLING, data))


def lines_with(words, data, before=0):
    """The lines of a source in which some words are, sorted; it begins after some lines of another one."""
    lines, last, line = [], 0, before + 1
    for at in sorted(places_of(words, data)):
        line += data.count(b"\n", last, at)
        last = at
        lines.append(line)
    return lines


def first_line(node):
    """The first line of a statement, with what decorates it."""
    decorators = getattr(node, "decorator_list", None)
    return min(node.lineno, decorators[0].lineno) if decorators else node.lineno


def are_in(lines, node, before):
    """Whether one of some sorted lines is in the text of a statement, which was parsed without some lines before it."""
    at = bisect_left(lines, first_line(node) + before)
    return at < len(lines) and lines[at] <= node.end_lineno + before


def may_decide(node, has_exits):
    """Whether a statement may decide about others behind it: it ends the function around it, or is a `try`, which tests names."""
    if isinstance(node, ast.Expr):
        return has_exits and isinstance(node.value, ast.Call)
    if not isinstance(node, HOLDING):
        return type(node).__name__ in DECIDING
    return any(may_decide(part, has_exits) for part in node.body + getattr(node, "orelse", []))


class CallLines:
    """The lines of a source in which a function that imports may be called."""

    def __init__(self, data):
        places = places_of(CALLING, data)
        aliases = {match.group(1) for match in (CALLER.match(data, at) for at in places) if match is not None}
        for alias in aliases:
            places += [match.start() for match in re.finditer(rb"\b%s\b" % re.escape(alias), data)]
        self.lines = None if b"\r" in data else sorted({data.count(b"\n", 0, at) + 1 for at in places})

    def are_in(self, node, before):
        """Whether one is in the text of a statement, which was parsed without some lines before it."""
        return self.lines is None or are_in(self.lines, node, before)


def is_main_test(node: ast.AST) -> bool:
    """Whether this is `__name__ == "__main__"`."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1 or not isinstance(node.ops[0], ast.Eq):
        return False
    sides = [node.left, node.comparators[0]]
    names = [side.id for side in sides if isinstance(side, ast.Name)]
    texts = [side.value for side in sides if isinstance(side, ast.Constant)]
    return names == ["__name__"] and texts == ["__main__"]


def all_nodes(tree):
    """Every node of a tree, in the order of `ast.walk` and in a third of its time; less those for operators and contexts."""
    nodes = [tree]
    for node in nodes:
        kind = type(node)
        fields = FIELDS.get(kind)
        if fields is None:
            fields = FIELDS[kind] = [field for field in kind._fields if field not in LEAVES]
        for field in fields:
            value = getattr(node, field, None)
            if type(value) is list:
                nodes += [item for item in value if isinstance(item, ast.AST)]
            elif isinstance(value, ast.AST):
                nodes.append(value)
    return nodes
