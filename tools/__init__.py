"""What `dev.py` does: set-up, checks and generated pages. Standard library only, and never imported by the package."""
