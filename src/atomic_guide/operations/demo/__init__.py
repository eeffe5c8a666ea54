"""Demo data of operations: a clearly marked, made-up history that the real sampler's table, decider and rules read."""
