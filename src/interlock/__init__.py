"""Interlock: the protocol around unreliable workers."""

__version__ = "0.1.0"
