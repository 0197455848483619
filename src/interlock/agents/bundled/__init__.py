"""Programs of our own that stand between the runner and what is no program, or speaks a protocol of its own.

Rule: each is started like any agent's program, supervised and isolated (`python -I`: nothing in the checkout is
imported), reads what it is to do as JSON on standard input, and prints what happens as lines of JSON, a `result` last.
"""
