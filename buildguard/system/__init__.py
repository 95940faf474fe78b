"""This machine: processes, git, threads, temporary files, the cache and its Pythons."""
