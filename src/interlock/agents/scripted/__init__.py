"""The scripted agent: a deterministic program for demos and tests, that fails on purpose and says so.

Rule: the same seed and attempt do the same, in every run. What it uses (tokens, cost) is pretended.
"""
