"""Search among very many rows by way of a clustering: inverted lists, and the metric spaces they store."""
