"""What operators see of live rooms."""
