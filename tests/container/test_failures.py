"""The reason of a failure says what to do, and the log has the traceback."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from shapecluster.container import _kshape, main
from shapecluster.container import _program as program
from tests.container.conftest import RECORDIO


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"k": "eleven"}, "k must be an integer >= 1. Got 'eleven' instead."),
        ({"k": 0}, "k must be an integer >= 1. Got '0' instead."),
        ({"k": 3, "n_clusters": 4}, "k and n_clusters are two names"),
        ({"k": 37}, "There are 36 rows in channel 'train', fewer than n_clusters=37"),
        (
            {"k": 3, "clusters": 3},
            "clusters is not a hyperparameter. Valid names: checkpoint_every, init, k,",
        ),
        ({"k": 3, "n_jobs": 0}, "n_jobs must be"),
        ({"k": 3, "random_state": -1}, "random_state must be an integer from 0 to 4294967295"),
        ({"k": 3, "missing": "drop"}, "missing must be 'error' or 'mask'. Got 'drop' instead."),
        ({"k": 3, "n_channels": 5}, "rows of 24 values cannot be split into n_channels=5"),
        ({"k": 3, "init": "channel"}, "init='channel' needs a channel 'init'"),
        ({"k": 3, "label_size": 2}, "label_size must be an integer from 0 to 1"),
    ],
)
def test_a_bad_hyperparameter_is_named(job, walks, hyperparameters, message):
    assert job.channel("train", walks).train(**hyperparameters) == 1
    assert message in job.failure
    assert not job.model.exists()


def test_all_bad_hyperparameters_are_named_at_once(job, walks):
    assert job.channel("train", walks).train(k="a", tol=-1.0, depth=3) == 1
    assert all(name in job.failure for name in ("k must be", "tol must be", "depth is not a hyperparameter"))


def test_there_must_be_data(job):
    assert job.train(k=3) == 1
    assert "must have a channel 'train'" in job.failure


def test_the_folder_of_a_channel_must_be_there(job, walks):
    job.channels["train"] = {"ContentType": "text/csv"}
    assert job.train(k=3) == 1
    assert "there is no folder input/data/train" in job.failure


def test_a_channel_must_have_rows(job, walks):
    job.channel("train", walks[:0], files=1)
    assert job.train(k=3) == 1
    assert "Channel 'train' has no data" in job.failure


@pytest.mark.parametrize("content_type", ["text/csv", RECORDIO])
def test_missing_values_are_named_with_their_row_and_file(job, walks, content_type):
    walks[20, 3:5] = np.nan
    assert job.channel("train", walks, content_type, files=3).train(k=3) == 1
    assert "has NaN or infinite values in row 9 of part-0001 (2 of 24)" in job.failure


def test_missing_values_are_named_by_ticker(job, walks):
    walks[20, 3], walks[30] = np.nan, np.inf
    job.channel("train", walks, "text/csv;label_size=1", names=[f"T{i}" for i in range(36)])
    assert job.train(k=3) == 1
    assert "'T20' (1 of 24), 'T30' (24 of 24)" in job.failure


def test_infinity_is_not_a_missing_value(job, walks):
    walks[4, 4] = np.inf
    assert job.channel("train", walks).train(k=3, missing="mask") == 1
    assert "has infinite values in row 5 of part-0000" in job.failure


def test_the_file_that_cannot_be_read_is_named(job, walks):
    job.channel("train", walks, files=2)
    (job.root / "input" / "data" / "train" / "part-0001").write_text("1,2,three\n")
    assert job.train(k=3) == 1
    assert job.failure.startswith("Channel 'train', file part-0001: CSV data cannot be read")


def test_a_header_and_a_compressed_file_are_recognized(job, walks):
    job.channel("train", walks)
    path = job.root / "input" / "data" / "train" / "part-0000"
    path.write_text("ticker," + path.read_text())
    assert job.train(k=3) == 1
    assert "it must have no header" in job.failure
    path.write_bytes(b"\x1f\x8b\x08rest")
    assert job.train(k=3) == 1
    assert "it is compressed with gzip" in job.failure


def test_files_must_have_rows_of_one_width(job, walks):
    job.channel("train", walks, files=2)
    (job.root / "input" / "data" / "train" / "part-0001").write_text("1,2,3\n")
    assert job.train(k=3) == 1
    assert "file part-0001: CSV data cannot be read: line 1 must have 24 numbers. Got 3" in job.failure


@pytest.mark.parametrize("content_type", ["text/libsvm", "image/png"])
def test_unknown_content_types_are_rejected(job, walks, content_type):
    job.channel("train", walks)
    job.channels["train"]["ContentType"] = content_type
    assert job.train(k=3) == 1
    assert "Channel 'train': The content type must be text/csv" in job.failure
    assert content_type in job.failure


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"TrainingInputMode": "Pipe"}, "TrainingInputMode must be File or FastFile"),
        ({"RecordWrapperType": "RecordIO"}, "RecordWrapperType must be None"),
        ({"ContentType": "text/csv;label_size=3"}, "label_size of the content type must be 0 or 1"),
    ],
)
def test_unsupported_settings_of_a_channel_are_rejected(job, walks, settings, message):
    assert job.channel("train", walks, **{}).train() == 0
    job.channels["train"] |= settings
    assert job.train(k=3) == 1
    assert message in job.failure


def test_contradicting_label_sizes_are_rejected(job, walks):
    assert job.channel("train", walks, "text/csv;label_size=0").train(k=3, label_size=1) == 1
    assert "Give it once" in job.failure


def test_unknown_channels_are_named(job, walks):
    job.channel("train", walks).channel("validation", walks)
    assert job.train(k=3) == 1
    assert "Got 'train', 'validation' instead" in job.failure


def test_two_channels_without_train_are_ambiguous(job, walks):
    job.channel("prices", walks).channel("volumes", walks)
    assert job.train(k=3) == 1
    assert "must have a channel 'train', and may have init, weights. Got 'prices', 'volumes'" in job.failure


@pytest.mark.parametrize("name", ["..", "a/b", ""])
def test_a_channel_cannot_point_outside_the_folder(job, walks, name):
    job.channels[name] = {"ContentType": "text/csv"}
    assert job.train(k=3) == 1
    assert "is not a valid channel" in job.failure


def test_centers_of_another_shape_or_another_init_are_rejected(job, walks):
    job.channel("train", walks).channel("init", walks[:2, :10])
    assert job.train(k=3) == 1
    assert "Channel 'init' must have one row for each cluster" in job.failure
    assert "(3, 24). Got (2, 10) instead" in job.failure
    assert job.train(k=3, init="random") == 1
    assert "the hyperparameter init is 'random'" in job.failure


def test_weights_of_other_series_are_rejected(job, walks):
    job.channel("train", walks, "text/csv;label_size=1", names=[f"T{i}" for i in range(36)])
    swapped = [f"T{i}" for i in (1, 0, *range(2, 36))]
    job.channel("weights", np.ones((36, 1)), "text/csv;label_size=1", names=swapped)
    assert job.train(k=3) == 1
    assert "Got 'T1' in row 1 instead of 'T0'" in job.failure


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones((35, 1)), "a row for each of the 36 series. Got shape (35, 1)"),
        (np.ones((36, 2)), "must have one column"),
        (-np.ones((36, 1)), "sample_weight must not be negative"),
        (np.zeros((36, 1)), "zero"),  # in the words of scikit-learn's newer releases, or in ours
    ],
)
def test_weights_must_be_weights(job, walks, weights, message):
    job.channel("train", walks).channel("weights", weights)
    assert job.train(k=3) == 1
    assert message in job.failure


def test_tickers_must_not_repeat(job, walks):
    job.channel("train", walks, "text/csv;label_size=1", names=["A"] * 36)
    assert job.train(k=3) == 1
    assert "these rows of X repeat: A" in job.failure


def test_several_instances_are_rejected(job, walks):
    job.channel("train", walks).configure(k=3)
    settings = {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]}
    (job.root / "input" / "config" / "resourceconfig.json").write_text(json.dumps(settings))
    assert main(["train", "--root", str(job.root)]) == 1
    assert "set the instance count to 1" in job.failure


@pytest.mark.parametrize("text", ["{", "[]", '{"k": 3}', "[" * 100_000, '"x"'])
def test_a_configuration_that_cannot_be_read_is_named(job, walks, text):
    job.channel("train", walks).configure(k=3)
    (job.root / "input" / "config" / "hyperparameters.json").write_text(text)
    assert main(["train", "--root", str(job.root)]) == 1
    assert "hyperparameter" in job.failure


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "There is not enough memory: choose a larger instance"),
        (OSError(28, "No space left on device", "/opt/ml/model"), "No space left on device"),
        (KeyError("x"), "failed unexpectedly with KeyError"),
    ],
)
def test_an_unexpected_error_has_a_reason_and_a_logged_traceback(
    job, walks, monkeypatch, caplog, error, message
):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(_kshape, "_fit", fail)
    with caplog.at_level(logging.ERROR, logger="shapecluster"):
        assert job.channel("train", walks).train(k=3) == 1
    assert message in job.failure
    assert "Traceback" in caplog.text
    assert "Traceback" not in job.failure


def test_a_reason_that_cannot_be_written_is_in_the_log(job, walks, monkeypatch, caplog):
    def refuse(*_: object) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(program, "write_bytes", refuse)
    with caplog.at_level(logging.ERROR, logger="shapecluster"):
        assert job.channel("train", walks).train(k=0) == 1
    assert "output/failure cannot be written: read-only" in caplog.text
