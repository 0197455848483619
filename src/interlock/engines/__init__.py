"""Engines: a loop around the planner. Fold, plan, perform, append."""
