"""Asking an outside CI: its API, and what its answers come to."""
