"""Programs of our own: a client for agents that speak a protocol, one for a model without a program, and the scripted
worker.

Rule: each is started, supervised and isolated like any agent's program (`python -I`: it imports nothing from the
checkout). The clients read their task as JSON on standard input, and print events as JSON lines; the last is `result`.
"""
