"""Manifests side by side: hops, differences and their causes."""
