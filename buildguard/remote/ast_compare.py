"""Whether two sources mean the same: their syntax trees are equal once f-strings are brought to one form.

It runs inside an interpreter of 3.12 or later, since no older one reads the source before the fix; it uses the
standard library alone, and parses without executing anything. The parent passes its text with `-c`.

In:  one JSON object a line: `before`, `after` (texts) and `names`, which `after` binds to constants.
Out: one JSON string a line: empty where they mean the same, else why that could not be shown.

The one form: adjacent constants of an f-string are joined, and a field that is a constant text or an f-string, with
neither conversion nor format spec, is part of the text around it. A name that was bound for a fix is replaced by its
constant, and only where the binding is sure to be what the code sees.
"""

import ast
import json
import os
import sys

SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
SECONDS = 30  # of CPU time for one question, and more for long ones
TELLS_NAMES = {"locals", "vars", "dir", "eval", "exec"}


class Doubt(Exception):
    """Equality could not be shown."""


def identifiers(tree):
    """Every name that a tree uses, for whatever purpose."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            continue
        for _field, value in ast.iter_fields(node):
            values = value if isinstance(value, list) else [value]
            for item in values:
                if isinstance(item, str):
                    names.update(item.split("."))
    return names


def binding(node, names):
    """The name and constant of a statement that a fix has put in, else None."""
    if (
        isinstance(node, ast.Assign)
        and len(node.targets) == 1
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id in names
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, (str, bytes))
    ):
        return node.targets[0].id, node.value
    return None


class ConstantRestorer(ast.NodeTransformer):
    """Replace names by the constants that the block has bound them to before."""

    def __init__(self, bound):
        self.bound = bound

    def visit_Name(self, node):
        return self.bound.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


def restore_constants(tree, names):
    """Undo the bindings of a fix; raise Doubt where the code might see something else."""
    for scope in ast.walk(tree):
        for block in blocks(scope):
            kept, bound = [], {}
            for statement in block:
                bound_name = binding(statement, names)
                if bound_name is None:
                    kept.append(ConstantRestorer(bound).visit(statement) if bound else statement)
                elif bound_name[0] in bound and ast.dump(bound[bound_name[0]]) != ast.dump(bound_name[1]):
                    raise Doubt("the name %s is bound to two constants" % bound_name[0])
                else:
                    bound[bound_name[0]] = bound_name[1]
            block[:] = kept
    left = identifiers(tree) & names
    if left:
        raise Doubt("the name %s is used where it is not bound" % sorted(left)[0])


def blocks(node):
    """The lists of statements directly below a node."""
    for _field, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value


def check_scopes(node, names, scope, reads_names):
    """Raise Doubt where a fix binds a name in a class, or where the code can list the names."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Assign) and binding(child, names):
            if isinstance(scope, ast.ClassDef):
                raise Doubt("a name would become an attribute of the class %s" % scope.name)
            if reads_names(scope):
                raise Doubt("the code around it asks which names there are (locals, vars, dir, globals, eval, exec)")
        check_scopes(child, names, child if isinstance(child, SCOPES) else scope, reads_names)


def local_names_reader(tree):
    """A function that returns whether the code in a scope can list the names that are bound there."""

    def own(scope):
        pending = list(ast.iter_child_nodes(scope))
        while pending:
            node = pending.pop()
            yield node
            if not isinstance(node, SCOPES):
                pending.extend(ast.iter_child_nodes(node))

    def told(scope):
        if isinstance(scope, ast.Module):
            return any(calls(node, TELLS_NAMES - {"eval", "exec"} | {"globals"}) for node in ast.walk(tree))
        return any(calls(node, TELLS_NAMES) for node in own(scope))

    def calls(node, names):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in names:
            return False
        return node.func.id in {"eval", "exec"} or not (node.args or node.keywords)

    return told


class FStringNormalizer(ast.NodeTransformer):
    """Bring every f-string to one form."""

    def visit_FormattedValue(self, node):
        if isinstance(node.format_spec, ast.Constant):  # as 3.13.0 has some that hold \N{...}
            node.format_spec = ast.JoinedStr([node.format_spec])
        self.generic_visit(node)
        return node

    def visit_JoinedStr(self, node):
        self.generic_visit(node)
        values = []
        for value in flat(node):
            if isinstance(value, ast.Constant) and values and isinstance(values[-1], ast.Constant):
                values[-1] = ast.Constant(values[-1].value + value.value)
            else:
                values.append(value)
        return ast.JoinedStr([part for part in values if not (isinstance(part, ast.Constant) and not part.value)])


def flat(node):
    """The parts of an f-string, with those of the f-strings and texts that are plain fields of it."""
    for value in node.values:
        if isinstance(value, ast.Constant):
            yield ast.Constant(value.value)
        elif isinstance(value, ast.FormattedValue) and value.conversion == -1 and value.format_spec is None:
            if isinstance(value.value, ast.JoinedStr):
                for part in flat(value.value):
                    yield part
            elif isinstance(value.value, ast.Constant) and isinstance(value.value.value, str):
                yield ast.Constant(value.value.value)
            else:
                yield value
        else:
            yield value


def annotations(tree):
    """The annotations of a source that keeps them as text, else nothing."""
    future = any(
        isinstance(node, ast.ImportFrom)
        and node.module == "__future__"
        and any(a.name == "annotations" for a in node.names)
        for node in tree.body
    )
    dumped = []
    for node in ast.walk(tree) if future else ():
        for name in ("annotation", "returns"):
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                dumped.append(ast.dump(value))
    return sorted(dumped)


def doubt(before, after, names):
    """Why the two texts were not shown to mean the same; empty where they were."""
    try:
        old = ast.parse(before)
    except (SyntaxError, ValueError) as error:
        return "Python %d.%d rejects the file as it is: %s" % (*sys.version_info[:2], error)
    try:
        new = ast.parse(after)
        if identifiers(old) & names:
            return "a name that the fix binds is taken"
        if annotations(old) != annotations(new):
            return "an annotation is kept as text here, and its text would change"
        check_scopes(new, names, new, local_names_reader(new))
        restore_constants(new, names)
        same = ast.dump(FStringNormalizer().visit(old)) == ast.dump(FStringNormalizer().visit(new))
    except Doubt as error:
        return str(error)
    except (SyntaxError, ValueError) as error:
        return "Python %d.%d rejects the file after the fix: %s" % (*sys.version_info[:2], error)
    return "" if same else "the syntax trees before and after the fix differ"


def limit(which, wanted):
    """Lower one limit of this process, as far as the system lets us."""
    try:
        import resource

        kind = getattr(resource, which)
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    except (ImportError, AttributeError, ValueError, OSError):
        pass


def main():
    """Answer every line of the input."""
    sys.setrecursionlimit(20000)
    if hasattr(sys, "set_int_max_str_digits"):
        sys.set_int_max_str_digits(0)
    limit("RLIMIT_CORE", 0)
    limit("RLIMIT_AS", int(sys.argv[1]))
    import warnings

    warnings.simplefilter("ignore")
    for line in sys.stdin.buffer:
        limit("RLIMIT_CPU", int(sum(os.times()[:2])) + SECONDS + len(line) // 20000)
        asked = json.loads(line)
        try:
            answer = doubt(asked["before"], asked["after"], set(asked["names"]))
        except (RecursionError, MemoryError) as error:
            answer = "the syntax tree is too deep to compare: %s" % type(error).__name__
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
