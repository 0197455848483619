"""Text, glob patterns and names: pure functions that know nothing of Interlock."""
