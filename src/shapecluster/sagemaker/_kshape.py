"""`SageMakerKShape`: k-Shape as a training job, with the contract of `LocalKShape`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from shapecluster._core.kshape.assignment import assign
from shapecluster._core.kshape.run import ClusterRun, Iterate, inertia
from shapecluster._core.sbd.shapes import shapes_of
from shapecluster._sklearn_compat import Interval
from shapecluster._threads import n_threads
from shapecluster._typing import ArrayLike, Float64Array, IntArray
from shapecluster._validation import SeriesData
from shapecluster._warnings import warn_user
from shapecluster.cluster._base import BaseShapeClusterer
from shapecluster.cluster._local import LocalKShape
from shapecluster.exceptions import ArtifactWarning
from shapecluster.formats import CentroidReport, decode_centroids, read_member
from shapecluster.remote import Job
from shapecluster.remote._account import find_bucket, find_role
from shapecluster.remote._marketplace import Algorithm, describe_algorithm
from shapecluster.remote._outcome import open_artifact
from shapecluster.remote._platform import Platform
from shapecluster.remote._request import Channel, TrainingSpec, merged
from shapecluster.remote._staging import Dataset, Staged, stage
from shapecluster.remote._uris import join
from shapecluster.sagemaker._algorithm import (
    PARAMETERS,
    check_channels,
    check_series,
    for_container,
    for_listing,
    has_label_column,
)
from shapecluster.sagemaker._base import Order, TrainingJobEstimator
from shapecluster.sagemaker._files import csv_of, named, read_description, recalled, recordio_of

if TYPE_CHECKING:
    from typing import Self

    from shapecluster.remote._outcome import JobOutcome, JobProgress

_CENTROIDS = "centroids"
_MOST_CENTROIDS = 1 << 28  # bytes
_ROUNDING = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-12}
_REHEARSED = "rehearsal/shapecluster"  # an image that is never pulled


class SageMakerKShape(TrainingJobEstimator, BaseShapeClusterer):
    """Cluster series by shape with k-Shape in an Amazon SageMaker training job.

    `fit` checks everything here, stages the data, has the job run, and reads its centers; labels, shifts and
    inertia are computed here from these centers, and so are predictions. With the same seed the result is
    that of `LocalKShape`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    algorithm_arn : str or None, default=None
        ARN of a K-Shape algorithm of the AWS Marketplace to which the account is subscribed. It is given the
        hyperparameters that its listing has; parameters that it does not have must be at their defaults.
    image_uri : str or None, default=None
        URI of the image of this package's container, which takes every parameter. On AWS either this or
        `algorithm_arn`; a rehearsal needs neither.
    role : str or None, default=None
        ARN of the execution role; None means the variable SAGEMAKER_ROLE, or the session's own.
    job : Job or None, default=None
        Machines, limits, places and all else about the job; None means ``Job()``.
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
        Where jobs run; None means the default credentials. Clones share it, pickles leave it out.
    wait : bool, default=True
        Whether `fit` waits for the job. If not, `result` does.
    callback : callable, default=None
        Called with a `JobProgress` at every change of the job's state, and with new lines of its log.
    init : {"k-shape++", "random"} or array-like of shape (n_clusters, n_timepoints[, n_channels]), \
default="k-shape++"
        Where to start, as for `LocalKShape`. An array travels in a channel of its own.
    n_init : int or "auto", default="auto"
        Number of runs, as for `LocalKShape`.
    max_iter : int, default=100
        Most iterations of one run.
    tol : float, default=1e-6
        A run stops when the best inertia has not fallen by this share within 5 iterations.
    max_shift : int or None, default=None
        Largest shift in timepoints.
    missing : {"error", "mask"}, default="error"
        What NaN means, as for `LocalKShape`.
    random_state : int or None, default=None
        Seed. It travels as text, so it must not be a generator.
    n_jobs : int or None, default=None
        Threads for what is computed here. The container uses all cores of its machine.
    verbose : int, default=0
        Has no effect here; the job's log is shown by `callback`.

    Attributes
    ----------
    cluster_centers_, labels_, shifts_, sbd_, inertia_, n_features_in_, series_names_in_
        As of `LocalKShape`. Where the algorithm left fewer centers than clusters, there are as many as it
        left.
    n_iter_ : int
        Iterations of the best run, where the container told.
    n_correlations_ : int
        Pairs that were transformed here, to label the series.
    training_job_name_ : str
        Name of the job; there as soon as it is created, and also when the wait for it fails.
    centroid_report_ : CentroidReport
        What the centers were like as the job left them.
    billable_seconds_ : int or None
        For which each machine is billed.

    Warns
    -----
    ArtifactWarning
        The job left fewer centers than clusters, or was run by another version of this package.

    See Also
    --------
    shapecluster.LocalKShape : The same here.
    shapecluster.remote.Rehearsal : Jobs in a local folder, without an account.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shapecluster import LocalKShape, SageMakerKShape
    >>> from shapecluster.remote import Rehearsal
    >>> X = np.random.default_rng(0).normal(size=(30, 40)).cumsum(axis=1)
    >>> folder = tempfile.TemporaryDirectory()
    >>> session = Rehearsal(folder.name, in_process=True)
    >>> model = SageMakerKShape(3, session=session, random_state=0).fit(X)
    >>> bool((model.labels_ == LocalKShape(3, random_state=0).fit(X).labels_).all())
    True
    >>> folder.cleanup()
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        **TrainingJobEstimator._remote_constraints,
        **LocalKShape._parameter_constraints,
        "algorithm_arn": [str, None],
        "image_uri": [str, None],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both"), None],
    }

    centroid_report_: CentroidReport

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        algorithm_arn: str | None = None,
        image_uri: str | None = None,
        role: str | None = None,
        job: Job | None = None,
        session: Any = None,
        wait: bool = True,
        callback: Callable[[JobProgress], object] | None = None,
        init: Literal["k-shape++", "random"] | ArrayLike = "k-shape++",
        n_init: int | Literal["auto"] = "auto",
        max_iter: int = 100,
        tol: float = 1e-6,
        max_shift: int | None = None,
        missing: Literal["error", "mask"] = "error",
        random_state: int | None = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.n_clusters = n_clusters
        self.algorithm_arn = algorithm_arn
        self.image_uri = image_uri
        self.role = role
        self.job = job
        self.session = session
        self.wait = wait
        self.callback = callback
        self.init = init
        self.n_init = n_init
        self.max_iter = max_iter
        self.tol = tol
        self.max_shift = max_shift
        self.missing = missing
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def fit(self, X: Any, y: None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Compute the centers in a training job, and label the series by them.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_series, n_timepoints[, n_channels])
            Series as rows: a DataFrame has tickers as its index and dates as its columns.
        y : None
            Ignored; here for Pipelines.
        sample_weight : array-like of shape (n_series,), default=None
            Weight of each series; travels in a channel of its own. Not for `algorithm_arn`.

        Returns
        -------
        self : SageMakerKShape
            The fitted estimator; with ``wait=False`` only `training_job_name_` is there.

        Raises
        ------
        ValueError
            For input or parameters that the job could not take; nothing has been billed then.
        RemoteError
            When something goes wrong on the way: one of the kinds in `shapecluster.exceptions`, which
            names the job and says what to do.
        """
        self._validate_params()
        with self._as_before_unless_begun():
            data = self._check(X, reset=True)
            weights = self._weights(sample_weight, data)
            self._check_size(len(data.values))
            if not isinstance(self.init, str):
                self._given_centers(data)
            self._taking_part(self._shapes(data, data.values.dtype), weights)
            order = self._order(self._platform(), data, None if sample_weight is None else weights)
            self._store_names(data)
            self._start(order, (data, weights))
        return self

    def to_local(self) -> LocalKShape:
        """The same as a `LocalKShape`, which needs neither this session nor the job.

        Returns
        -------
        LocalKShape
            Fitted, with the same parameters.
        """
        self._check_is_fitted()
        local = LocalKShape(**{name: getattr(self, name) for name in PARAMETERS})
        local.set_params(n_clusters=len(self.cluster_centers_))
        for name, value in vars(self).items():
            mine = {"centroid_report_", "training_job_name_", "billable_seconds_"}
            if name == "_axis_name" or (name.endswith("_") and name not in mine):
                setattr(local, name, value)
        return local

    def _sendable(self, X: Any) -> Any:
        values = self._check(X, reset=False).values
        return values.reshape(len(values), -1)

    def _ids(self, labels: IntArray) -> IntArray:
        """Clusters as the file of centroids numbers them."""
        return np.asarray(self.centroid_report_.kept, dtype=np.intp)[labels]

    def _given_centers(self, data: SeriesData) -> Any:
        return LocalKShape(self.n_clusters, init=self.init)._given_centers(data)

    # ------------------------------------------------------------------------------------ before the job

    def _order(self, platform: Platform, data: SeriesData, weights: Float64Array | None) -> Order:
        job, parameters = self._job(), {name: getattr(self, name) for name in PARAMETERS}
        manifest = self._manifest(data)
        rows = data.values.reshape(len(data.values), -1)
        if self.algorithm_arn is not None:
            algorithm = self.algorithm_arn
            listing = self._listing(platform)
            channel = listing.training_channel(job)
            check_channels(listing, channel)
            owner = type(self).__name__
            check_series(data, weighted=weights is not None, owner=owner)
            sent = merged(for_listing(parameters, LocalKShape().get_params(), listing, owner), job)
            listing.check(sent, job)
            names = _tickers(data) if has_label_column(listing) else None
            manifest["label_size"] = int(names is not None)
            datasets = {channel.name: csv_of(rows, names, manifest)}
        else:
            algorithm = self._image(platform, job)
            n_channels = None if data.values.ndim == 2 else data.values.shape[2]
            sent = merged(for_container(parameters, n_channels), job)
            datasets = {job.channel or "train": recordio_of(rows, manifest)}
            if not isinstance(self.init, str):
                centers = np.asarray(self.init, dtype=data.values.dtype).reshape(self.n_clusters, -1)
                datasets["init"] = recordio_of(centers, {"dtype": str(centers.dtype)})
            if weights is not None:
                datasets["weights"] = recordio_of(weights[:, None], {"dtype": str(weights.dtype)})
        return self._ordered(platform, job, algorithm, datasets, sent)

    def _ordered(
        self,
        platform: Platform,
        job: Job,
        algorithm: str,
        datasets: Mapping[str, Dataset],
        hyperparameters: dict[str, str],
    ) -> Order:
        """Stage the data; everything was checked before."""
        role, base = find_role(platform, self.role), f"s3://{find_bucket(platform, job)}/{job.prefix}"
        staged = {
            name: stage(platform, one, base, kms_key=job.output_kms_key) for name, one in datasets.items()
        }
        channels = tuple(_channel(name, one) for name, one in staged.items())
        spec = TrainingSpec(
            algorithm, channels, hyperparameters, role, join(base, "jobs"), base_name="shapecluster-kshape"
        )
        recorded = self._recorded() | ({"init": self.init} if isinstance(self.init, str) else {})
        return Order(platform, spec, tuple(staged.values()), {"parameters": recorded})

    def _image(self, platform: Platform, job: Job) -> str:
        if self.image_uri is None and platform.kind == "aws":
            raise ValueError(
                f"algorithm_arn or image_uri of {type(self).__name__} must say what runs on AWS: the ARN of "
                "the Marketplace's algorithm, or the URI of the image that `make image` builds. Got neither."
            )
        if job.instance_count > 1:
            raise ValueError(
                "instance_count of Job must be 1: k-Shape runs on one machine. "
                f"Got {job.instance_count} instead."
            )
        return _REHEARSED if self.image_uri is None else self.image_uri

    def _listing(self, platform: Platform) -> Algorithm:
        if self.image_uri is not None:
            raise ValueError("algorithm_arn and image_uri exclude each other: give one of them. Got both.")
        return describe_algorithm(platform, str(self.algorithm_arn))

    def _manifest(self, data: SeriesData) -> dict[str, Any]:
        """What `attach` has to know of the data beside its numbers."""
        return {
            "names": named(data.names),
            "axis": None if data.names is None or data.names.name is None else str(data.names.name),
            "columns": named(data.timepoints),
            "shape": list(data.values.shape),
            "dtype": str(data.values.dtype),
        }

    # ------------------------------------------------------------------------------------- after the job

    def _collect(self, platform: Platform, outcome: JobOutcome, data: Any) -> None:
        (series, weights), told = (self._recall(platform, outcome), False) if data is None else (data, True)
        dtype = series.values.dtype
        with open_artifact(platform, outcome) as file:
            member = read_member(file, _CENTROIDS, max_bytes=_MOST_CENTROIDS)
        centers, report = decode_centroids(
            member.data,
            self.n_clusters,
            series.values.shape[1],
            n_channels=None if series.values.ndim == 2 else series.values.shape[2],
            tolerance=_ROUNDING[dtype],
        )
        if not report.complete:
            warn_user(self, f"training job {outcome.name!r}: {report}", ArtifactWarning)
        described = read_description(platform, outcome) if self.algorithm_arn is None else {}
        self.n_features_in_ = series.values.shape[1]
        self.cluster_centers_ = centers.astype(dtype)
        self._label(series, weights, described.get("n_iter"), told=told)
        self.centroid_report_ = report

    def _label(self, series: SeriesData, weights: Float64Array, n_iter: Any, *, told: bool) -> None:
        """Assign the series to the centers, as `predict` does; `told`: of flat ones, by `fit`."""
        centers, threads = self._centers(), n_threads(self.n_jobs)
        if told:
            dtype = self.cluster_centers_.dtype
            x = shapes_of(series.channels_first, self.max_shift, dtype, n_threads=threads)
        else:
            x = self._shapes(series)
        assigned = assign(x, centers, keep=False, n_threads=threads)
        labels, shifts, ncc = assigned.nearest
        sbd = 1.0 - ncc
        first = SeriesData(self.cluster_centers_).channels_first
        iterate = Iterate(first, labels, shifts, sbd, inertia(sbd, weights))
        run = ClusterRun(iterate, n_iter or 0, assigned.n_correlations, "unchanged")
        self._store(run, series, self._taking_part(x, weights))
        if n_iter is None:
            del self.n_iter_

    def _recall(self, platform: Platform, outcome: JobOutcome) -> tuple[SeriesData, Float64Array]:
        """The series as they were staged, their weights; and given centers, which are a parameter."""
        staged = recalled(platform, outcome)
        names, shape = staged.manifest["names"], staged.manifest["shape"]
        index = None if names is None else pd.Index(names, name=staged.manifest["axis"])
        series = SeriesData(staged.rows.reshape(shape), index)
        weights = staged.channel("weights")
        centers = staged.channel("init")
        if centers is not None and isinstance(self.init, str):  # attached: a record holds no array
            self.init = centers.reshape(self.n_clusters, *shape[1:])
        if weights is None:
            return series, np.ones(len(series.values))
        return series, weights[:, 0].astype(np.float64)


def _channel(name: str, staged: Staged) -> Channel:
    return Channel(name, staged.data_uri, staged.content_type)


def _tickers(data: SeriesData) -> list[str]:
    """Names for the first column, which an algorithm of the Marketplace wants even where there are none."""
    return [str(n) for n in (range(len(data.values)) if data.names is None else data.names)]
