"""A model server on loopback that answers from a script, for tests with real agent programs."""
