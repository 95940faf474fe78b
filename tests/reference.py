"""The ground truth: what an interpreter's own `compile` says of each file, in a loop with nothing around it.

Run by the interpreter in question, with paths on standard input, each ended by NUL; answers
`<line or 0> <exception or ok>` for each path, in order.
"""

import os
import sys
import warnings


def main():
    warnings.simplefilter("ignore")
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)
    for path in sys.stdin.buffer.read().split(b"\0")[:-1]:
        with open(path, "rb") as file:
            data = file.read()
        try:
            compile(data, "<reference>", "exec", 0, True)
        except SyntaxError as error:
            answer = "%d %s" % (error.lineno or 0, type(error).__name__)
        except BaseException as error:
            answer = "0 %s" % type(error).__name__
        else:
            answer = "0 ok"
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


main()
