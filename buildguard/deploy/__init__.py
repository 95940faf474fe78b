"""Deploying: what will be done (plan), what was done (ledger), who may do it now (lock), and what trouble leads to (fallback)."""
