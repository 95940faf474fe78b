"""Cycles of testing and deploying, one after the other, until the gates hold."""
