"""What a start requires of its environment, read from the sources that it loads, and what sets it."""
