"""`SageMakerKShape`: k-Shape as a training job, with the contract of `LocalKShape`."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pandas as pd

from shapecluster._sklearn_compat import Interval
from shapecluster._typing import ArrayLike, Float64Array, InitialCenters, IntArray
from shapecluster._validation import SeriesData
from shapecluster._warnings import warn_user
from shapecluster.cluster._base import BaseShapeClusterer
from shapecluster.cluster._local import LocalKShape
from shapecluster.exceptions import ArtifactWarning
from shapecluster.formats import CentroidReport, decode_centroids
from shapecluster.remote import Job, JobProgress
from shapecluster.remote._client import CompletedJob, JobClient, describe_algorithm
from shapecluster.sagemaker._algorithm import (
    check_channels,
    check_series,
    container_hyperparameters,
    has_label_column,
    listing_hyperparameters,
)
from shapecluster.sagemaker._base import TrainingJobEstimator
from shapecluster.sagemaker._files import (
    csv_of,
    json_names,
    read_description,
    read_model_file,
    read_staged_channel,
    read_staged_data,
    recordio_of,
)
from shapecluster.sagemaker._serving import ServedEstimator

if TYPE_CHECKING:
    from typing import Self

_CENTROIDS = "centroids"
_MOST_CENTROIDS = 1 << 28  # bytes
# Mean and standard deviation of a center that was normalized in this precision differ from 0 and 1 so much.
_ROUNDING = {np.dtype(np.float32): 4e-6, np.dtype(np.float64): 1e-12}
_REHEARSED = "rehearsal/shapecluster"  # an image that is never pulled


class SageMakerKShape(ServedEstimator, BaseShapeClusterer):
    """Cluster series by shape with k-Shape in an Amazon SageMaker training job.

    `fit` checks everything locally, uploads the data, runs a training job, and reads its centers. Labels,
    shifts, inertia and predictions are computed locally from these centers. With the same seed the result is
    that of `LocalKShape`.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters.
    algorithm_arn : str or None, default=None
        ARN of a K-Shape algorithm of the AWS Marketplace to which the account is subscribed. The job gets the
        hyperparameters that the listing has; other parameters must be at their defaults.
    image_uri : str or None, default=None
        URI of the image of this package's container, which takes every parameter. AWS needs either this or
        `algorithm_arn`; a rehearsal needs neither.
    role : str or None, default=None
        ARN of the execution role; None means the variable SAGEMAKER_ROLE, or the session's own.
    job : Job or None, default=None
        Machines, limits, bucket and other settings of the job; None means ``Job()``.
    session : boto3.Session, session of sagemaker >= 3, Rehearsal or None, default=None
        Where jobs run; None means the default credentials. Clones share it, pickles leave it out.
    wait : bool, default=True
        Whether `fit` waits for the job. If not, `result` does.
    progress : callable, default=None
        Called with a `JobProgress` at every change of the job's state, and with new lines of its log.
    init : {"k-shape++", "random"} or array-like of shape (n_clusters, n_timepoints[, n_channels]), \
default="k-shape++"
        Where to start, as for `LocalKShape`. The job reads an array from a channel of its own.
    n_init : int or "auto", default="auto"
        Number of runs, as for `LocalKShape`.
    max_iter : int, default=100
        Maximum number of iterations of one run.
    tol : float, default=1e-6
        A run stops when the best inertia has not decreased by this share within 5 iterations.
    max_shift : int or None, default=None
        Largest shift in timepoints.
    missing : {"error", "mask"}, default="error"
        What NaN means, as for `LocalKShape`.
    random_state : int or None, default=None
        Seed. It is sent as text, so it must not be a generator.
    n_jobs : int or None, default=None
        Number of threads for local computations. The container uses all cores of its machine.
    verbose : int, default=0
        Has no effect; `progress` gets the job's log.

    Attributes
    ----------
    cluster_centers_, labels_, shifts_, sbd_, inertia_, n_features_in_, series_names_in_
        As of `LocalKShape`. There are fewer centers than `n_clusters` when the job returned fewer.
    n_iter_ : int
        Iterations of the best run. Defined only when the container reports them.
    n_correlations_ : int
        Number of pairs that were transformed locally, to label the series.
    training_job_name_ : str
        Name of the job. It is set before the job is created, and stays when the wait for the job fails.
    centroid_report_ : CentroidReport
        Defects of the centers in the job's file, such as missing or flat ones.
    billable_seconds_ : int or None
        Billed time of each machine.

    Warns
    -----
    ArtifactWarning
        When the job returned fewer centers than clusters, or ran another version of this package.

    See Also
    --------
    shapecluster.LocalKShape : The same algorithm on this machine.
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
        **BaseShapeClusterer._parameter_constraints,
        "algorithm_arn": [str, None],
        "image_uri": [str, None],
        "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both"), None],
    }

    _base_name = "shapecluster-kshape"

    centroid_report_: CentroidReport

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        algorithm_arn: str | None = None,
        image_uri: str | None = None,
        role: str | None = None,
        job: Job | None = None,
        session: object = None,
        wait: bool = True,
        progress: Callable[[JobProgress], object] | None = None,
        init: InitialCenters = "k-shape++",
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
        self.progress = progress
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
            Weight of each series; the job reads them from a channel of their own. Not for `algorithm_arn`.

        Returns
        -------
        self : SageMakerKShape
            The fitted estimator; with ``wait=False`` only `training_job_name_` is set.

        Raises
        ------
        ValueError
            When the job could not take the input or a parameter. Nothing was billed then.
        RemoteError
            When a call or the job fails: one of the classes in `shapecluster.exceptions`, which names the
            job and says what to do.
        """
        self._validate_params()
        with self._unchanged_unless_created():
            data = self._check(X, reset=True)
            weights = self._weights(sample_weight, data)
            self._check_size(len(data.values))
            if not isinstance(self.init, str):
                self._given_centers(data)
            # Warns of flat series and raises for all-flat data before anything is uploaded.
            self._taking_part(self._shapes(data, data.values.dtype), weights)
            self._store_names(data)
            self._fit_series(data, weights, weighted=sample_weight is not None)
        return self

    def to_local(self) -> LocalKShape:
        """Convert to a `LocalKShape`, which needs neither the session nor the job.

        Returns
        -------
        LocalKShape
            Fitted, with the same parameters.
        """
        self._check_is_fitted()
        local = LocalKShape(**self._local_parameters()).set_params(n_clusters=len(self.cluster_centers_))
        for name, value in vars(self).items():
            of_jobs = {"centroid_report_", "training_job_name_", "billable_seconds_"}
            if name == "_axis_name" or (name.endswith("_") and name not in of_jobs):
                setattr(local, name, value)
        return local

    def _new_rows(self, X: Any) -> Any:
        values = self._check(X, reset=False).values
        return values.reshape(len(values), -1)

    def _served_ids(self, labels: IntArray) -> IntArray:
        """Clusters as the job's file of centroids numbers them, without those that could not be used."""
        return np.asarray(self.centroid_report_.kept, dtype=np.intp)[labels]

    def _local_parameters(self) -> dict[str, Any]:
        """Parameters that `LocalKShape` has, too."""
        return {name: getattr(self, name) for name in LocalKShape().get_params()}

    # ------------------------------------------------------------------------------------ before the job

    def _fit_series(self, data: SeriesData, weights: Float64Array, *, weighted: bool) -> None:
        client = self._client()
        axis = None if data.names is None or data.names.name is None else str(data.names.name)
        shape, dtype = data.values.shape, str(data.values.dtype)
        manifest = {
            "names": json_names(data.names),
            "axis": axis,
            "columns": json_names(data.timepoints),
            "shape": list(shape),
            "dtype": dtype,
        }
        if self.algorithm_arn is not None:
            self._fit_listing(client, data, manifest, weighted=weighted)
            return
        image = self._image(client)
        sent = container_hyperparameters(self._local_parameters(), shape[2] if len(shape) == 3 else None)
        rows = data.values.reshape(len(data.values), -1)
        datasets = {client.job.channel or "train": recordio_of(rows, manifest)}
        if not isinstance(self.init, str):
            centers = np.asarray(self.init, dtype=dtype).reshape(self.n_clusters, -1)
            datasets["init"] = recordio_of(centers, {"dtype": dtype})
        if weighted:
            datasets["weights"] = recordio_of(weights[:, None], {"dtype": str(weights.dtype)})
        self._run_job(client, image, datasets, sent, (data, weights))

    def _image(self, client: JobClient) -> str:
        if self.image_uri is None and client.platform.kind == "aws":
            raise ValueError(
                f"algorithm_arn or image_uri of {type(self).__name__} must name the algorithm: the ARN of "
                "the Marketplace's algorithm, or the URI of the image that `make image` builds. Got neither."
            )
        if client.job.instance_count > 1:
            raise ValueError(
                "instance_count of Job must be 1: k-Shape runs on one machine. "
                f"Got {client.job.instance_count} instead."
            )
        return _REHEARSED if self.image_uri is None else self.image_uri

    def _fit_listing(
        self, client: JobClient, data: SeriesData, manifest: dict[str, Any], *, weighted: bool
    ) -> None:
        if self.image_uri is not None:
            raise ValueError("algorithm_arn and image_uri exclude each other: give one of them. Got both.")
        listing = describe_algorithm(client, str(self.algorithm_arn))
        channel, owner = listing.training_channel(client.job), type(self).__name__
        check_channels(listing, channel)
        check_series(data, weighted=weighted, owner=owner)
        sent = listing_hyperparameters(self._local_parameters(), LocalKShape().get_params(), listing, owner)
        names = None
        if has_label_column(listing):  # row numbers where the series have no names
            names = [str(n) for n in (range(len(data.values)) if data.names is None else data.names)]
        manifest["label_size"] = int(names is not None)
        datasets = {channel.name: csv_of(data.values, names, manifest)}
        self._run_job(client, listing, datasets, sent, (data, np.ones(len(data.values))))

    # ------------------------------------------------------------------------------------- after the job

    def _read_result(self, job: CompletedJob, data: Any) -> None:
        # After `fit` flat series were warned of already; attached data has not been checked yet.
        already_warned = data is not None
        series, weights = self._read_staged_series(job) if data is None else data
        dtype, shape = series.values.dtype, series.values.shape
        centers, report = decode_centroids(
            read_model_file(job, _CENTROIDS, _MOST_CENTROIDS),
            self.n_clusters,
            shape[1],
            n_channels=None if len(shape) == 2 else shape[2],
            tolerance=_ROUNDING[dtype],
        )
        if not report.complete:
            warn_user(self, f"training job {job.name!r}: {report}", ArtifactWarning)
        described = read_description(job) if self.algorithm_arn is None else {}
        self.n_features_in_, self.centroid_report_ = shape[1], report
        if described.get("n_iter") is not None:
            self.n_iter_ = described["n_iter"]
        x = self._shapes(series, dtype, warn=not already_warned)
        first = SeriesData(centers.astype(dtype)).channels_first
        taking_part = self._taking_part(x, weights)
        found, self.n_correlations_ = self._assign(x, first, weights)
        self._store(found, series)
        self._warn_of_empty_clusters(taking_part)

    def _read_staged_series(self, job: CompletedJob) -> tuple[SeriesData, Float64Array]:
        """The series as they were staged and their weights; given centers become the parameter `init`."""
        rows, manifest, channels = read_staged_data(job)
        names, shape = manifest["names"], manifest["shape"]
        index = None if names is None else pd.Index(names, name=manifest["axis"])
        series = SeriesData(rows.reshape(shape), index)
        if "init" in channels and isinstance(self.init, str):  # attached: a record holds no array
            centers = read_staged_channel(channels["init"])
            self.init = centers.reshape(self.n_clusters, *shape[1:])
        if "weights" not in channels:
            return series, np.ones(len(rows))
        return series, read_staged_channel(channels["weights"])[:, 0].astype(np.float64)
