"""`python -m atomic_guide.cli`, the same as `atomic-guide`."""

from atomic_guide.cli import main

main()
