"""Carrying out the protocol: what is wanted next, and performing one effect against the ports."""
