"""Is the committed source what will run, and does the Python that runs it accept it: buildguard tells."""

__version__ = "0.1.0"
