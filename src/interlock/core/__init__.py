"""The product: pure state, planning and views. No I/O, no clock, no randomness, standard library only."""
