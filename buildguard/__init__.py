"""buildguard: is the committed source what will run, and does the Python that runs it accept it?"""

__version__ = "0.1.0"
