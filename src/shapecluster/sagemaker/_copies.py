"""What becomes of a session when its estimator is cloned, copied or pickled."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from shapecluster._sklearn_compat import BaseEstimator, clone_parameters
from shapecluster.remote._platform import DROPPED

if TYPE_CHECKING:
    from typing import Self

_BY_REFERENCE = ("session", "callback", "_run")  # what copies share and pickles leave out


class KeepsSession(BaseEstimator):
    """Copies share the session, which holds credentials and cannot be copied; pickles leave it out."""

    session: Any
    callback: Any

    def __sklearn_clone__(self) -> Self:
        """Clone the parameters; a session and a callback are shared, and nothing of them is copied."""
        bare = copy.copy(self)
        bare.session = bare.callback = None
        twin: Self = clone_parameters(bare)
        twin.session, twin.callback = self.session, self.callback
        return twin

    def __copy__(self) -> Self:
        twin = type(self).__new__(type(self))
        vars(twin).update(vars(self))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for name, value in vars(self).items():
            vars(twin)[name] = value if name in _BY_REFERENCE else copy.deepcopy(value, memo)
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the session, which holds credentials, and what holds it."""
        state = dict(super().__getstate__())
        state.pop("_run", None)
        return state | {"session": DROPPED, "callback": None}
