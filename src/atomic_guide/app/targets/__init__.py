"""What scaling changes: a target for each kind of fleet, over the engines and the processes that there are."""
