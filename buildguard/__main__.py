"""Entry point of `python -m buildguard`."""

import os
import sys

# `-m` puts the working folder first on the path: a click.py or json.py in the project under check would run.
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0] or ".") == os.path.realpath("."):
    del sys.path[0]

from buildguard.cli import main

if __name__ == "__main__":
    main()
