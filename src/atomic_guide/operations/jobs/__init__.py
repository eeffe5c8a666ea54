"""What operators ask of queues, jobs and dead letters, and do to them."""
