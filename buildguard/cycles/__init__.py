"""Cycles of testing and deploying: test results, gates, what changed since the last cycle, and the record of each."""
