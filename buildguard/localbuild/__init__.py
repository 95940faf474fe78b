"""A Build of Cloud Build's, run on the local container engine: the same steps over the same workspace.

`substitutions` and `plan` are pure and say what will run; `runner` runs it. The emulator uses it, and so will a deploy that
builds here.
"""
