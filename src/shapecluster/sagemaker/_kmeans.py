"""`SageMakerKMeans`: SageMaker's built-in K-Means, with the contract of the other clusterers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from sklearn.cluster import KMeans

from shapecluster._sklearn_compat import Interval, StrOptions, validate_data
from shapecluster._typing import FloatArray, IntArray
from shapecluster.cluster._euclidean import distances, label_rows, nearest
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_ndarrays, encode_hyperparameters
from shapecluster.remote import Job, JobProgress
from shapecluster.remote._client import CompletedJob, staged_folders
from shapecluster.sagemaker._base import TrainingJobEstimator
from shapecluster.sagemaker._builtin import REHEARSED, TEST, k_means_image, read_test_metrics
from shapecluster.sagemaker._files import dense_recordio_of, read_model_file, read_staged_data
from shapecluster.sagemaker._serving import ServedEstimator

if TYPE_CHECKING:
    from typing import Self

    import pandas as pd

_MODEL = "model_algo-*"
_MOST_MODEL = 1 << 30  # bytes
_SENT = (
    *("mini_batch_size", "epochs", "init_method", "extra_center_factor", "half_life_time_size"),
    *("local_lloyd_max_iter", "local_lloyd_tol", "local_lloyd_num_trials", "local_lloyd_init_method"),
)


class SageMakerKMeans(ServedEstimator):
    """Cluster rows with the K-Means that is built into Amazon SageMaker.

    `fit` uploads the rows, runs a training job, and reads its centers. Labels, inertia and predictions are
    computed locally from these centers.

    Parameters
    ----------
    n_clusters : int, default=8
        Number of clusters; the algorithm's `k`.
    image_uri : str or None, default=None
        URI of the algorithm's image; None means that of the session's region.
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
    mini_batch_size : int, default=5000
        Rows of a mini-batch.
    epochs : int, default=1
        Passes over the data.
    init_method : {"random", "kmeans++"}, default="random"
        How the first centers are chosen.
    extra_center_factor : int or "auto", default="auto"
        The pass over the data keeps this many times `n_clusters` centers.
    half_life_time_size : int, default=0
        Rows after which the weight of a row in a center has fallen by half; 0 means never.
    local_lloyd_max_iter : int, default=300
        Maximum number of iterations of Lloyd's method, which reduces those centers to `n_clusters`.
    local_lloyd_tol : float, default=1e-4
        Lloyd's method stops when an iteration gains less than this share, in [0, 1].
    local_lloyd_num_trials : int or "auto", default="auto"
        Number of runs of Lloyd's method; the best is kept.
    local_lloyd_init_method : {"random", "kmeans++"}, default="kmeans++"
        How Lloyd's method starts.
    eval_metrics : sequence of {"msd", "ssd"}, default=("msd",)
        What the job reports of the rows `test` of `fit`: mean and sum of squared distances.

    Attributes
    ----------
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        Centers in float32, as the algorithm computes them.
    labels_ : ndarray of shape (n_samples,)
        Index of the nearest center of each row.
    inertia_ : float
        Sum of the squared distances of the rows to their centers, in float64.
    test_metrics_ : dict of str to float
        What the job reported of the test rows: "msd", "ssd" or both. Defined only when `fit` was given
        `test`; empty where neither the service nor the job's log reports them.
    training_job_name_ : str
        Name of the job. It is set before the job is created, and stays when the wait for the job fails.
    billable_seconds_ : int or None
        Billed time of each machine.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns. Defined only when `X` has some.

    Notes
    -----
    The algorithm has no seed: two jobs with the same data may differ. It takes no sample weights either, so
    neither `fit` nor `score` has `sample_weight`: each row counts once in `inertia_` and in the score.

    A rehearsal runs scikit-learn's K-Means on all rows. It checks the parameters that control the built-in's
    pass over mini-batches, and otherwise ignores them.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from shapecluster import SageMakerKMeans
    >>> from shapecluster.remote import Rehearsal
    >>> X = np.repeat(np.eye(3), 10, axis=0)
    >>> folder = tempfile.TemporaryDirectory()
    >>> model = SageMakerKMeans(3, session=Rehearsal(folder.name, in_process=True)).fit(X)
    >>> round(model.inertia_, 6)
    0.0
    >>> folder.cleanup()
    """

    _parameter_constraints: ClassVar[dict[str, list[Any] | str]] = {
        **TrainingJobEstimator._remote_constraints,
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "image_uri": [str, None],
        "mini_batch_size": [Interval(Integral, 1, None, closed="left")],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "init_method": [StrOptions({"random", "kmeans++"})],
        "extra_center_factor": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "half_life_time_size": [Interval(Integral, 0, None, closed="left")],
        "local_lloyd_max_iter": [Interval(Integral, 1, None, closed="left")],
        "local_lloyd_tol": [Interval(Real, 0, 1, closed="both")],
        "local_lloyd_num_trials": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "local_lloyd_init_method": [StrOptions({"random", "kmeans++"})],
        "eval_metrics": [list, tuple],
    }

    _base_name = "shapecluster-kmeans"

    init_method: Literal["random", "kmeans++"]
    extra_center_factor: int | Literal["auto"]
    local_lloyd_num_trials: int | Literal["auto"]
    local_lloyd_init_method: Literal["random", "kmeans++"]
    eval_metrics: Sequence[Literal["msd", "ssd"]]
    cluster_centers_: FloatArray
    labels_: IntArray
    inertia_: float
    n_features_in_: int

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        image_uri: str | None = None,
        role: str | None = None,
        job: Job | None = None,
        session: object = None,
        wait: bool = True,
        progress: Callable[[JobProgress], object] | None = None,
        mini_batch_size: int = 5000,
        epochs: int = 1,
        init_method: Literal["random", "kmeans++"] = "random",
        extra_center_factor: int | Literal["auto"] = "auto",
        half_life_time_size: int = 0,
        local_lloyd_max_iter: int = 300,
        local_lloyd_tol: float = 1e-4,
        local_lloyd_num_trials: int | Literal["auto"] = "auto",
        local_lloyd_init_method: Literal["random", "kmeans++"] = "kmeans++",
        eval_metrics: Sequence[Literal["msd", "ssd"]] = ("msd",),
    ) -> None:
        self.n_clusters = n_clusters
        self.image_uri = image_uri
        self.role = role
        self.job = job
        self.session = session
        self.wait = wait
        self.progress = progress
        self.mini_batch_size = mini_batch_size
        self.epochs = epochs
        self.init_method = init_method
        self.extra_center_factor = extra_center_factor
        self.half_life_time_size = half_life_time_size
        self.local_lloyd_max_iter = local_lloyd_max_iter
        self.local_lloyd_tol = local_lloyd_tol
        self.local_lloyd_num_trials = local_lloyd_num_trials
        self.local_lloyd_init_method = local_lloyd_init_method
        self.eval_metrics = eval_metrics

    # `test` is given by name only: the third argument of scikit-learn's KMeans is `sample_weight`.
    def fit(self, X: Any, y: None = None, *, test: Any = None) -> Self:
        """Compute the centers in a training job, and label the rows by them.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows. They are uploaded as dense float32 rows, written block by block.
        y : None
            Ignored; here for Pipelines.
        test : array-like, DataFrame or sparse matrix of shape (n_test_samples, n_features), default=None
            Rows for the algorithm's channel `test`. They take no part in the fit; the job measures them
            against the centers, see `test_metrics_`.

        Returns
        -------
        self : SageMakerKMeans
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
        unknown = [name for name in self.eval_metrics if name not in ("msd", "ssd")]
        if test is not None and self._job().channel == TEST:
            raise ValueError(f"channel of Job must not be {TEST!r}: that is where the rows of `test` go.")
        if unknown or not self.eval_metrics:
            raise ValueError(
                "eval_metrics of SageMakerKMeans must hold 'msd', 'ssd' or both. "
                f"Got {self.eval_metrics!r} instead."
            )
        with self._unchanged_unless_created():
            rows = self._rows(X, reset=True)
            if rows.shape[0] < self.n_clusters:
                raise ValueError(
                    f"n_samples={rows.shape[0]} should be >= n_clusters={self.n_clusters}: there are fewer "
                    "rows than clusters."
                )
            test_rows = None if test is None else self._rows(test)
            self._fit_rows(rows, test_rows)
        return self

    def predict(self, X: Any) -> IntArray:
        """Find the nearest center of each row.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Index of the nearest center.
        """
        return nearest(self._new_rows(X), self.cluster_centers_)

    def transform(self, X: Any) -> FloatArray | pd.DataFrame:
        """Measure the Euclidean distance of each row to every center.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        distances : ndarray or DataFrame of shape (n_samples, n_clusters)
            Not squared, in the precision of `X`; a DataFrame where `set_output` asks for one.
        """
        rows = self._new_rows(X)
        measured: FloatArray = distances(rows, self.cluster_centers_).astype(rows.dtype, copy=False)
        return measured

    def score(self, X: Any, y: None = None) -> float:
        """Opposite of the SSD of rows under the fitted centers; greater is better.

        Parameters
        ----------
        X : array-like, DataFrame or sparse matrix of shape (n_samples, n_features)
            Rows; each counts once, as in `fit`.
        y : None
            Ignored.

        Returns
        -------
        float
            Minus the sum of the squared distances; ``-inertia_`` for the rows of `fit`.
        """
        return -label_rows(self._new_rows(X), self.cluster_centers_)[1]

    def to_local(self) -> KMeans:
        """Convert to scikit-learn's KMeans, which needs neither the session nor the job.

        Returns
        -------
        sklearn.cluster.KMeans
            Fitted, with the same centers in float64.
        """
        self._check_is_fitted()
        centers = self.cluster_centers_.astype(np.float64)
        local = KMeans(len(centers), init=centers, n_init=1, max_iter=1).fit(centers)
        # The fit only sets up KMeans' private state; its one step of Lloyd's method rounds the centers.
        local.cluster_centers_ = centers
        local.labels_, local.inertia_ = self.labels_.astype(np.int32), self.inertia_
        if hasattr(self, "feature_names_in_"):
            local.feature_names_in_ = self.feature_names_in_
        return local

    # --------------------------------------------------------------------------------------------- inside

    @property
    def _n_features_out(self) -> int:
        return len(self.cluster_centers_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _new_rows(self, X: Any) -> Any:
        self._check_is_fitted()
        return self._rows(X)

    def _rows(self, X: Any, *, reset: bool = False) -> Any:
        return validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=reset)

    def _fit_rows(self, rows: Any, test_rows: Any) -> None:
        client = self._client()
        # force_dense: rows travel as dense RecordIO, also those that came as a sparse matrix.
        sent: dict[str, Any] = {"k": self.n_clusters, "feature_dim": rows.shape[1], "force_dense": True}
        sent |= {name: getattr(self, name) for name in _SENT} | {"eval_metrics": list(self.eval_metrics)}
        image = self.image_uri
        if image is None:
            image = k_means_image(client.platform.region) if client.platform.kind == "aws" else REHEARSED
        columns = getattr(self, "feature_names_in_", None)
        manifest = {
            "shape": list(rows.shape),
            "dtype": "float32",
            "columns": None if columns is None else [str(name) for name in columns],
        }
        channel, n_shards = client.job.channel or "train", client.job.instance_count
        datasets = {channel: dense_recordio_of(rows, manifest, n_shards=n_shards)}
        if test_rows is not None:  # in one file, since every machine gets all of it
            datasets[TEST] = dense_recordio_of(test_rows, {"dtype": "float32"})
        self._run_job(client, image, datasets, encode_hyperparameters(sent), rows)

    def _read_result(self, job: CompletedJob, data: Any) -> None:
        rows = data
        if rows is None:
            rows, manifest, _ = read_staged_data(job)
            if manifest["columns"] is not None:
                self.feature_names_in_ = np.asarray(manifest["columns"], dtype=object)
        model = read_model_file(job, _MODEL, _MOST_MODEL)
        arrays = decode_ndarrays(model, max_bytes=_MOST_MODEL).arrays
        expected = (self.n_clusters, rows.shape[1])
        # The file may hold further arrays; the first one is the matrix of centers.
        if not arrays or arrays[0].shape != expected or not np.isfinite(arrays[0]).all():
            got = "no array" if not arrays else f"shape {arrays[0].shape}, or numbers that are not finite,"
            raise ArtifactError(
                f"The model of the training job {job.name!r} must begin with {expected[0]} finite "
                f"centers of {expected[1]} values. Got {got} instead: look at the job's log, and fit again."
            )
        self.n_features_in_ = rows.shape[1]
        self.cluster_centers_ = np.ascontiguousarray(arrays[0], dtype=np.float32)
        self.labels_, self.inertia_ = label_rows(rows, self.cluster_centers_)
        if TEST in staged_folders(job.description):
            self.test_metrics_ = read_test_metrics(job)
