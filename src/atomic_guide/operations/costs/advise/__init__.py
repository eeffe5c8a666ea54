"""Recommendations: what could be saved, each with its evidence and as the difference of two priced states."""
