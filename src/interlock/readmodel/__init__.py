"""What every interface shows of a run, computed from its history. Pure."""
