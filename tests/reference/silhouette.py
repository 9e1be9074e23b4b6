"""The weighted silhouette by its definition, one row after the other."""

from __future__ import annotations


def slow_silhouette(distances, labels, weights):
    """Mean silhouette of all rows; a row of weight w counts as w rows, but not in its own cluster."""
    n = len(labels)
    total = 0.0
    for i in range(n):
        means = {}
        for label in set(labels):
            others = [j for j in range(n) if labels[j] == label and j != i and weights[j] > 0]
            if others:
                mass = sum(weights[j] for j in others)
                means[label] = sum(weights[j] * distances[i, j] for j in others) / mass
        if labels[i] in means:
            within = means.pop(labels[i])
            nearest = min(means.values())
            total += weights[i] * (nearest - within) / max(nearest, within)
    return total / sum(weights)
