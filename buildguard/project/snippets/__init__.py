"""Python source inside other files: found, and mapped back to the lines of the file that contains it."""
