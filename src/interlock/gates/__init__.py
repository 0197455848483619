"""Gates: the checks at a stage's boundary, run by a referee in its own checkout with its own files.

Rule: a gate that could not decide (`errored`) is not a gate that rejected (`failed`), and nothing that a candidate does
may turn either into `passed`.
"""
