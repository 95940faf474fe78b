"""Entry point of `python -m buildguard`."""

from buildguard.cli import main

if __name__ == "__main__":
    main()
