"""Signatures of the records of handoffs: envelopes (DSSE, ed25519), the user's key, and the keys that are trusted."""

from interlock.signing.envelopes import IN_TOTO, Envelope, Unreadable, parsed, read_envelope
from interlock.signing.keys import UNKNOWN, KeyFolder, KeyState, PublicKeys, read_public_key
from interlock.signing.records import SignedRecords

__all__ = [
    "IN_TOTO",
    "UNKNOWN",
    "Envelope",
    "KeyFolder",
    "KeyState",
    "PublicKeys",
    "SignedRecords",
    "Unreadable",
    "parsed",
    "read_envelope",
    "read_public_key",
]
