"""Reviews by agents: their questions, their answers, and the verdict of several answers.

Rule: an answer is the last thing that the reviewer itself wrote, and matches the schema, or it is none. Nothing in the
work under review can pass as an answer.
"""
