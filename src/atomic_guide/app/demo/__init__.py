"""Demo data of an installation: joined from courses (here) and the made-up history of operations."""
