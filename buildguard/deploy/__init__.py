"""Deploying: what will be done (plan), what was done (ledger), who may do it now (lock), and what trouble leads to (fallback)."""

from buildguard import make_callable

make_callable(__name__)
