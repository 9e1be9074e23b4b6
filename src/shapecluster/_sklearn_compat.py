"""The part of scikit-learn that this package builds on, in one place.

scikit-learn ships no type information. This module declares once what type checkers need to know of its
base classes. At run time these are scikit-learn's own classes. Private or moved names of scikit-learn are
imported here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

from sklearn.base import _clone_parametrized as clone_parameters
from sklearn.base import clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_n_features as check_n_features
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

OutputContainer: TypeAlias = Literal["default", "pandas", "polars"]
"""Containers that `set_output` can choose."""

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from shapecluster._typing import FloatArray, IntArray

    # Pyright reads scikit-learn's source. It gets the real base classes, so an estimator of this package is
    # accepted wherever one of scikit-learn's is. mypy takes every name of scikit-learn for Any, and a class
    # that derives from Any may have any attribute. It gets `object`, so it finds misspelled attributes.
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

    _DecoratedMethod = TypeVar("_DecoratedMethod", bound=Callable[..., Any])

    class BaseEstimator(Estimator):
        """scikit-learn's estimator contract: parameters, clone, repr, tags."""

        def get_params(self, deep: bool = True) -> dict[str, Any]: ...
        def set_params(self, **params: Any) -> Self: ...
        def _validate_params(self) -> None: ...
        def __sklearn_tags__(self) -> Any: ...
        def __getstate__(self) -> dict[str, Any]: ...
        def __setstate__(self, state: dict[str, Any]) -> None: ...

    class ClusterMixin(Clusterer):
        """Marks a clusterer."""

        def fit_predict(self, X: Any, y: None = None, **kwargs: Any) -> IntArray: ...

    class TransformerMixin(Transformer):
        """`fit_transform` and `set_output` for classes with `transform`."""

        def __init_subclass__(
            cls, *, auto_wrap_output_keys: tuple[str, ...] | None = ("transform",)
        ) -> None: ...
        def fit_transform(self, X: Any, y: None = None, **fit_params: Any) -> FloatArray | pd.DataFrame: ...
        def set_output(self, *, transform: OutputContainer | None = None) -> Self: ...

    class ClassNamePrefixFeaturesOutMixin(FeaturesOut):
        """Names output columns after the class: localkshape0, localkshape1, ..."""

        def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]: ...

    class MetaEstimatorMixin(MetaEstimator):
        """Marks an estimator that wraps another."""

    class IntervalBase:
        """A range that a numeric parameter must lie in."""

        def __init__(self, type: Any, left: float | None, right: float | None, *, closed: str) -> None: ...
        def is_satisfied_by(self, val: Any) -> bool: ...

    class StrOptions:
        """The strings that a parameter may be."""

        def __init__(self, options: set[str]) -> None: ...

    def validate_params(
        parameter_constraints: dict[str, list[Any]], *, prefer_skip_nested_validation: bool
    ) -> Callable[[_DecoratedMethod], _DecoratedMethod]:
        """Check the parameters of a function as estimators check theirs."""

    def available_if(check: Callable[[Any], bool]) -> Callable[[_DecoratedMethod], _DecoratedMethod]:
        """Offer a method only where `check(self)` holds."""

else:
    from sklearn.base import (
        BaseEstimator,
        ClassNamePrefixFeaturesOutMixin,
        ClusterMixin,
        MetaEstimatorMixin,
        TransformerMixin,
    )
    from sklearn.utils._param_validation import Interval as IntervalBase
    from sklearn.utils._param_validation import StrOptions, validate_params
    from sklearn.utils.metaestimators import available_if


class Interval(IntervalBase):
    """A range that a numeric parameter must lie in. Unlike scikit-learn's, it does not take True for 1."""

    def is_satisfied_by(self, val: Any) -> bool:
        """Whether a value is a number in the range."""
        return not isinstance(val, bool) and super().is_satisfied_by(val)


__all__ = [
    "BaseEstimator",
    "ClassNamePrefixFeaturesOutMixin",
    "ClusterMixin",
    "Interval",
    "MetaEstimatorMixin",
    "OutputContainer",
    "StrOptions",
    "TransformerMixin",
    "_check_sample_weight",
    "available_if",
    "check_array",
    "check_is_fitted",
    "check_n_features",
    "check_random_state",
    "clone",
    "clone_parameters",
    "validate_data",
    "validate_params",
]
