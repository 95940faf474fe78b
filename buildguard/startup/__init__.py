"""Will it start there: the start command, the files that it needs and the port, followed through the build without running it."""
