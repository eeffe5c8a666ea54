"""Where courses are, as operators see and change it: shards, moves, replicas."""
