"""Entry point of `python -m buildguard`."""

import os
import sys

# `-m` puts the working folder first on the path: a click.py in the project under check would run. What runpy
# itself imports comes before us, so in a hostile folder it is `buildguard`, or `python -P -m buildguard`.
if not sys.flags.safe_path and sys.path and os.path.realpath(sys.path[0] or ".") == os.path.realpath("."):
    del sys.path[0]

from buildguard.cli.main import main

if __name__ == "__main__":
    main()
