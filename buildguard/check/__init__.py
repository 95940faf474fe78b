"""The check: from sources and targets to findings."""
