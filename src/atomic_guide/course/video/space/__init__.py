"""What tenants store of lectures, against what they may: the account, its limits, and the sweep that heals it."""
