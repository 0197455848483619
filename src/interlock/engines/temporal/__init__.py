"""The engine for many machines: a run is a workflow on a Temporal server, its effects are activities of workers.

Rule: the workflow decides with the core alone, as the local engine does; what it needs of the world comes in its input,
or out of an activity. Only blobs are shared between machines, and commits travel in them as packs.
"""
