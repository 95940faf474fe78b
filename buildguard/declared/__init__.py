"""What the project's own files declare about the Python that runs it, gathered from one stage."""
