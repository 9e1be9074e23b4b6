"""The shape-based distance: prepared series, exact best shifts, and bounds that spare most of them."""
