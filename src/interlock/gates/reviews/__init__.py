"""Reviews by agents: what they are asked, what counts as an answer, and what several answers come to.

Rule: an answer is the reviewer's own final word and matches the schema, or it is none; nothing that stands in the
work under review can be taken for it.
"""
