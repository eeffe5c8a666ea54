"""How operators see and change which shard has what: measured load, shards, zones of tenants, and plans carried out."""
