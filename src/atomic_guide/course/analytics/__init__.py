"""Scores of a course and the figures made from them."""
