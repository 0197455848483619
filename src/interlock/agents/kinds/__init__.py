"""Kinds of agents, one module each, named like what `use:` says."""
