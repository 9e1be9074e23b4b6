"""Portfolios that match: when two do, the search for one, and all pairs."""
