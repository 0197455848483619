"""Kinds of agents: one module each, with the name that `use:` gives."""
