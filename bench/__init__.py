"""Ratios of one run on one machine, never absolute times: `scripts/bench` prints them beside their goals."""
