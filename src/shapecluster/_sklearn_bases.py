"""Base classes for type checkers, below the declarations in `_sklearn_compat`; not imported at run time.

Pyright reads scikit-learn's source. It gets the real classes, so an estimator of this package is accepted
wherever one of scikit-learn's is.

mypy takes every name of scikit-learn for Any, and a class that derives from Any may have any attribute. It
gets `object`, so it still finds misspelled attributes.
"""

from __future__ import annotations

MYPY = False  # mypy takes this name for true, and ignores its value

if MYPY:
    from builtins import object as Clusterer
    from builtins import object as Estimator
    from builtins import object as FeaturesOut
    from builtins import object as MetaEstimator
    from builtins import object as Transformer
else:  # pyright takes the last declaration of a name
    from sklearn.base import BaseEstimator as Estimator
    from sklearn.base import ClassNamePrefixFeaturesOutMixin as FeaturesOut
    from sklearn.base import ClusterMixin as Clusterer
    from sklearn.base import MetaEstimatorMixin as MetaEstimator
    from sklearn.base import TransformerMixin as Transformer

__all__ = ["Clusterer", "Estimator", "FeaturesOut", "MetaEstimator", "Transformer"]
