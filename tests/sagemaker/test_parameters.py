"""What becomes of every parameter on each platform; and what is refused before anything is billed."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from shapecluster import LocalKShape, SageMakerKMeans, SageMakerKShape
from shapecluster.cluster._local import FIT_PARAMETERS
from shapecluster.remote import Job
from tests.sagemaker.test_kshape import frame, walks

ARN = "arn:aws:sagemaker:us-east-1:111122223333:algorithm/k-shape"
CENTERS = np.random.default_rng(0).normal(size=(3, 40))

# Parameter, value; what our image gets (None: nothing); what an algorithm gets that lists it ("refused": a
# ValueError that names it, as for every algorithm that does not list it; None: nothing, and no refusal).
TABLE = [
    ("n_clusters", 4, "4", "4"),
    ("n_clusters", np.int64(4), "4", "4"),
    ("init", "random", "random", "random"),
    ("init", CENTERS, "channel", "refused"),
    ("n_init", 3, "3", "3"),
    ("n_init", "auto", "auto", "auto"),
    ("n_init", np.int32(3), "3", "3"),
    ("max_iter", 7, "7", "7"),
    ("max_iter", np.int64(100), "100", "100"),
    ("tol", 0.1 + 0.2, "0.30000000000000004", "0.30000000000000004"),
    ("tol", np.float64(1e-6), "1e-06", "1e-06"),
    ("max_shift", 5, "5", "5"),
    ("max_shift", None, None, None),
    ("missing", "mask", "mask", "mask"),
    ("random_state", 7, "7", "7"),
    ("random_state", None, None, None),
    ("n_jobs", 2, None, None),
    ("verbose", 1, None, None),
]


def change(platform, monkeypatch, **changes):
    """Make a rehearsal's listing another one."""
    described = platform.call("sagemaker.describe_algorithm", AlgorithmName=ARN)
    described["TrainingSpecification"] |= changes
    monkeypatch.setitem(platform._calls, "sagemaker.describe_algorithm", lambda AlgorithmName: described)


def listed(*names, **more):
    return [{"Name": name, "Type": "FreeText", "IsRequired": False, **more} for name in names]


def sent(platform, model):
    description = platform.call("sagemaker.describe_training_job", TrainingJobName=model.training_job_name_)
    return description["HyperParameters"]


def untouched(platform):
    """Nothing was staged, and no job was created."""
    return not list(platform.list("s3://rehearsal/")) and not list(platform.path.glob("sagemaker/*/*"))


def test_the_table_has_every_parameter_of_the_local_estimator():
    local = set(inspect.signature(LocalKShape).parameters)
    assert {row[0] for row in TABLE} == local
    ours = inspect.signature(SageMakerKShape).parameters
    for name, parameter in inspect.signature(LocalKShape).parameters.items():
        assert ours[name].default == parameter.default, name


@pytest.mark.parametrize(("name", "value", "image", "listing"), TABLE, ids=lambda v: str(v)[:12])
def test_what_becomes_of_a_parameter(rng, rehearsal, monkeypatch, name, value, image, listing):
    X = walks(rng)
    given = {"n_clusters": 3, "random_state": 0, name: value}
    model = SageMakerKShape(session=rehearsal, **given).fit(X)
    assert sent(rehearsal, model).get(name) == image
    assert sent(rehearsal, model)["n_clusters"] == str(given["n_clusters"])

    everything = [parameter for parameter in LocalKShape().get_params() if parameter != "n_clusters"]
    change(rehearsal, monkeypatch, SupportedHyperParameters=listed("k", "label_size", *everything))
    model = SageMakerKShape(session=rehearsal, algorithm_arn=ARN, **given)
    if listing == "refused":
        with pytest.raises(ValueError, match=f"{name} of SageMakerKShape must be at its default"):
            model.fit(X)
    else:
        there = sent(rehearsal, model.fit(X))
        assert there.get("k" if name == "n_clusters" else name) == listing
        assert there["label_size"] == "1"
        assert "n_clusters" not in there
        assert not {"n_jobs", "verbose"} & set(there)


@pytest.mark.parametrize(("name", "value", "image", "listing"), TABLE, ids=lambda v: str(v)[:12])
def test_an_algorithm_without_the_hyperparameter(rng, rehearsal, name, value, image, listing):
    """The lab's listing has k and label_size, and nothing else."""
    X = walks(rng)
    model = SageMakerKShape(session=rehearsal, algorithm_arn=ARN, **{"n_clusters": 3, name: value})
    default = LocalKShape().get_params()[name]
    is_default = isinstance(value, (str, int, float, np.generic, type(None))) and value == default
    if name in FIT_PARAMETERS and name != "n_clusters" and not is_default:
        with pytest.raises(ValueError, match=f"^{name} of SageMakerKShape must be at its default") as caught:
            model.fit(X)
        assert ARN in str(caught.value)
        assert untouched(rehearsal)
    else:
        assert sent(rehearsal, model.fit(X)) == {"k": str(model.n_clusters), "label_size": "1"}


@pytest.mark.parametrize("arn", [None, ARN])
@pytest.mark.parametrize(
    "generator", [np.random.RandomState(0), np.random.default_rng(0), -1, 2**32, 0.5, "0"]
)
def test_a_generator_is_no_seed_for_another_machine(rng, rehearsal, arn, generator):
    with pytest.raises(ValueError, match="'random_state' parameter of SageMakerKShape must be"):
        SageMakerKShape(3, session=rehearsal, algorithm_arn=arn, random_state=generator).fit(walks(rng))
    assert untouched(rehearsal)


def nan(X):
    X = X.copy()
    X[4, 4] = np.nan
    return X


DATA = [
    pytest.param(
        {}, lambda X: X, {"sample_weight": np.ones(30)}, "sample_weight of SageMakerKShape", id="weights"
    ),
    pytest.param(
        {}, lambda X: np.stack([X, X], axis=2), {}, r"X .* two axes .* \(30, 40, 2\)", id="channels"
    ),
    pytest.param({"missing": "mask"}, nan, {}, "X .* complete .* NaN in row 4|missing of", id="nan"),
    pytest.param(
        {"missing": "mask"},
        lambda X: frame(nan(X)),
        {},
        "X .* complete .* NaN in 'T004'|missing of",
        id="named nan",
    ),
]


@pytest.mark.parametrize(("parameters", "make", "fit", "message"), DATA)
def test_data_that_no_algorithm_of_the_marketplace_takes(
    rng, rehearsal, monkeypatch, parameters, make, fit, message
):
    change(rehearsal, monkeypatch, SupportedHyperParameters=listed("k", "missing"))
    model = SageMakerKShape(3, session=rehearsal, algorithm_arn=ARN, **parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(make(walks(rng)), **fit)
    assert untouched(rehearsal)
    SageMakerKShape(3, session=rehearsal, **parameters).fit(make(walks(rng)), **fit)  # our image takes it


WITHIN = {"IntegerParameterRangeSpecification": {"MinValue": "2", "MaxValue": "5"}}
CHANNEL = {"Name": "train", "IsRequired": True, "SupportedContentTypes": ["text/csv"]}
LISTINGS = [
    pytest.param(
        {}, {"instance_type": "ml.p4d.24xlarge"}, {}, "instance_type of Job must be one that", id="machine"
    ),
    pytest.param({}, {"instance_count": 2}, {}, "instance_count of Job must be 1", id="machines"),
    pytest.param({}, {"channel": "training"}, {}, "channel of Job must be one of .* train", id="channel"),
    pytest.param(
        {},
        {"hyperparameters": {"gamma": "1"}},
        {},
        r"does not know the hyperparameters \['gamma'\]",
        id="unknown",
    ),
    pytest.param({}, {"hyperparameters": {"k": "1"}}, {}, r"must not repeat .*'k'", id="twice"),
    pytest.param(
        {"SupportedHyperParameters": listed("k", Type="Integer", Range=WITHIN)},
        {},
        {"n_clusters": 6},
        "'k' must be an integer from 2 to 5",
        id="k",
    ),
    pytest.param({"SupportedHyperParameters": listed("gamma")}, {}, {}, "with a hyperparameter k", id="no k"),
    pytest.param(
        {"SupportedHyperParameters": [*listed("k"), *listed("gamma", IsRequired=True)]},
        {},
        {},
        r"needs the hyperparameters \['gamma'\]",
        id="required",
    ),
    pytest.param(
        {
            "SupportedHyperParameters": [
                *listed("k"),
                *listed(
                    "missing",
                    Type="Categorical",
                    Range={"CategoricalParameterRangeSpecification": {"Values": ["error", "fill"]}},
                ),
            ]
        },
        {},
        {"missing": "mask"},
        "hyperparameter 'missing' must be one of error, fill",
        id="category",
    ),
    pytest.param(
        {"TrainingChannels": [CHANNEL, CHANNEL | {"Name": "names"}]},
        {},
        {},
        "channel of Job must say which",
        id="two",
    ),
    pytest.param(
        {"TrainingChannels": [CHANNEL, CHANNEL | {"Name": "names"}]},
        {"channel": "train"},
        {},
        "needs 'names' as well",
        id="another channel",
    ),
    pytest.param(
        {"TrainingChannels": [CHANNEL | {"SupportedContentTypes": ["image/png"]}]},
        {},
        {},
        "takes image/png",
        id="type",
    ),
]


@pytest.mark.parametrize(("listing", "job", "parameters", "message"), LISTINGS)
def test_a_listing_is_kept_to_before_anything_is_staged(
    rng, rehearsal, monkeypatch, listing, job, parameters, message
):
    change(rehearsal, monkeypatch, **listing)
    given = {"n_clusters": 3, **parameters}
    with pytest.raises(ValueError, match=message):
        SageMakerKShape(session=rehearsal, algorithm_arn=ARN, job=Job(**job), **given).fit(walks(rng))
    assert untouched(rehearsal)


@pytest.mark.parametrize(
    ("channels", "wanted", "expected"),
    [
        ([{"Name": "data", "IsRequired": True}], None, "data"),
        ([{"Name": "data"}], None, "data"),
        ([{"Name": "a", "IsRequired": True}, {"Name": "b"}], None, "a"),
        ([{"Name": "a"}, {"Name": "b"}], "b", "b"),
    ],
)
def test_the_channel_is_the_algorithms_required_one(rng, rehearsal, monkeypatch, channels, wanted, expected):
    change(rehearsal, monkeypatch, TrainingChannels=channels)
    model = SageMakerKShape(3, session=rehearsal, algorithm_arn=ARN, job=Job(channel=wanted)).fit(walks(rng))
    description = rehearsal.call("sagemaker.describe_training_job", TrainingJobName=model.training_job_name_)
    assert [channel["ChannelName"] for channel in description["InputDataConfig"]] == [expected]


@pytest.mark.parametrize("arn", ["k-shape", "arn:aws:s3:::bucket", "arn:aws:sagemaker:us-east-1", ""])
def test_what_is_no_arn_of_an_algorithm_is_refused(rng, rehearsal, arn):
    with pytest.raises(ValueError, match="algorithm_arn must look like"):
        SageMakerKShape(3, session=rehearsal, algorithm_arn=arn).fit(walks(rng))
    assert untouched(rehearsal)


def test_an_arn_and_an_image_exclude_each_other(rng, rehearsal):
    with pytest.raises(ValueError, match="exclude each other"):
        SageMakerKShape(3, session=rehearsal, algorithm_arn=ARN, image_uri="image").fit(walks(rng))
    assert untouched(rehearsal)


@pytest.mark.parametrize(
    ("estimator", "taken"),
    [
        (
            SageMakerKShape(2),
            {"missing": "nothing", "n_clusters": 0, "tol": -1.0, "max_shift": -1, "wait": "yes"},
        ),
        (
            SageMakerKShape(2),
            {"job": {"bucket": "b"}, "role": 1, "progress": "print", "image_uri": 3, "n_init": 0},
        ),
        (SageMakerKMeans(2), {"mini_batch_size": 0, "epochs": 0, "init_method": "kmeans", "n_clusters": 0}),
        (
            SageMakerKMeans(2),
            {"extra_center_factor": 0, "half_life_time_size": -1, "local_lloyd_max_iter": 0},
        ),
        (SageMakerKMeans(2), {"local_lloyd_tol": 1.1, "local_lloyd_num_trials": "many", "job": 3}),
        (
            SageMakerKMeans(2),
            {"local_lloyd_init_method": "k-means++", "eval_metrics": ("mse",), "epochs": 1.0},
        ),
        (SageMakerKMeans(2), {"eval_metrics": (), "wait": 1}),
    ],
)
def test_every_parameter_is_checked_against_its_range_here(rng, rehearsal, estimator, taken):
    for name, value in taken.items():
        model = type(estimator)(2, session=rehearsal).set_params(**{name: value})
        with pytest.raises(ValueError, match=name):
            model.fit(walks(rng))
    assert untouched(rehearsal)
