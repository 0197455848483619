"""Carrying out the protocol: what is wanted next, and performing one command against the ports."""
