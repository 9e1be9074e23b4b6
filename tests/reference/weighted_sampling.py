"""Probabilities of successive draws without replacement, summed over every order of drawing."""

from __future__ import annotations

from itertools import combinations, permutations


def set_probabilities(weights: list[float], size: int) -> dict[tuple[int, ...], float]:
    """Probability of each set of `size` items, drawn one after another by weight."""
    total = sum(weights)
    probabilities = {}
    for chosen in combinations(range(len(weights)), size):
        probabilities[chosen] = 0.0
        for order in permutations(chosen):
            probability, left = 1.0, total
            for item in order:
                probability *= weights[item] / left
                left -= weights[item]
            probabilities[chosen] += probability
    return probabilities
