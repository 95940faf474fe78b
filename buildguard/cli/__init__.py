"""The command line: parse, call one capability, render, exit."""
