"""Notifications: a run waits for a person, was accepted, or failed.

Rule: what is due follows from the journal, never from a queue, so nothing can be lost. It is delivered at least once,
on threads of its own, and a run neither waits for it nor fails because of it.
"""

from interlock.notify.channels import Channel, CommandChannel, Message, Refusal, Webhook, kind_of
from interlock.notify.notices import Notices, Undelivered

__all__ = ["Channel", "CommandChannel", "Message", "Notices", "Refusal", "Undelivered", "Webhook", "kind_of"]
