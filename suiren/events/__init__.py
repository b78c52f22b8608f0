"""TIME: who waits for whom, and the record of it. Integer picoseconds, no chip, no op."""
