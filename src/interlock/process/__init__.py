"""Programs: started with an argv, an explicit folder and a scrubbed environment, and ended with all their children.

Rule: the only package that imports subprocess.
"""

from interlock.process.captured import capture
from interlock.process.environment import scrubbed
from interlock.process.supervised import supervise
from interlock.process.work import Captured, Finished, How, Supervised

__all__ = ["Captured", "Finished", "How", "Supervised", "capture", "scrubbed", "supervise"]
