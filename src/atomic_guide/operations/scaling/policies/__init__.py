"""The policies that can be replayed and run: ours, and those that people use today."""
