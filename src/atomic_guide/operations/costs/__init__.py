"""What a server costs, for what, and what could be saved: prices, priced states, measured days, recommendations."""
