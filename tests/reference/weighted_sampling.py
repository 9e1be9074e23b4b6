"""Successive draws without replacement: the law itself, summed over every order of drawing."""

from __future__ import annotations

from itertools import combinations, permutations


def set_probabilities(weights: list[float], size: int) -> dict[tuple[int, ...], float]:
    """The chance of each set of `size` items that one after the other are drawn by weight."""
    total = sum(weights)
    chances = {}
    for chosen in combinations(range(len(weights)), size):
        chances[chosen] = 0.0
        for order in permutations(chosen):
            chance, left = 1.0, total
            for item in order:
                chance *= weights[item] / left
                left -= weights[item]
            chances[chosen] += chance
    return chances
