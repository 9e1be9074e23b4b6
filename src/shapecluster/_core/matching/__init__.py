"""Matching portfolios: the criterion, distinct portfolios, the search for one portfolio, and all pairs."""
