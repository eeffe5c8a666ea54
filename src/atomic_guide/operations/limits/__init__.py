"""How full every limit is, in one process and over all: metered, warned of at 80%, shown."""
