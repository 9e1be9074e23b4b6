"""Sessions in clones, copies and pickles of an estimator."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from shapecluster._sklearn_compat import BaseEstimator, clone_parameters
from shapecluster.remote._client import DROPPED

if TYPE_CHECKING:
    from typing import Self

_BY_REFERENCE = {"session", "progress", "_run"}  # copies share these, and pickles leave them out


class SessionMixin(BaseEstimator):
    """Clones and copies share the session; pickles leave it out, since it holds credentials."""

    session: object
    progress: Any

    def __sklearn_clone__(self) -> Self:
        """Clone the parameters, and share the session and the progress callback."""
        bare = copy.copy(self)
        # A boto3 client copies itself without end, so neither may be seen by scikit-learn's clone.
        bare.session = bare.progress = None
        twin: Self = clone_parameters(bare)
        twin.session, twin.progress = self.session, self.progress
        return twin

    def __copy__(self) -> Self:
        # Not by way of __getstate__, which drops the session.
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        memo[id(self)] = twin = copy.copy(self)
        for name in vars(self).keys() - _BY_REFERENCE:
            setattr(twin, name, copy.deepcopy(vars(self)[name], memo))
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """The state without the session and what holds it."""
        state = dict(super().__getstate__())
        state.pop("_run", None)
        # DROPPED, and not None: a loaded estimator must not fall back to default credentials.
        return state | {"session": DROPPED, "progress": None}
