"""The demo: a real defect in a real project, mended by a scripted agent that fails on purpose.

Rule: it uses Interlock as a person would, by its commands, and all that it writes lies in one temporary folder.
"""
