"""Programs that ready gates carry in their line. They run in the project's Python, standard library only."""
