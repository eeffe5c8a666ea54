"""What the system can bear, what it will need, and what runs out first; where nothing is known, that is said."""
