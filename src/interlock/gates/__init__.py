"""Gates: what is checked at a stage's boundary, by a referee in its own checkout with its own files.

Rule: a gate that could not decide (`errored`) is not a gate that said no (`failed`), and nothing that a
candidate does may turn either into `passed`.
"""
