"""Edges to Google Cloud: thin, typed, and imported by the commands that need them."""
