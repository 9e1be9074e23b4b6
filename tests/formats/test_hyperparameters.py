"""Parameters as strings and back: exact, by declared type, with errors that name the parameter."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapecluster.formats import decode_hyperparameters, encode_hyperparameters
from shapecluster.formats.hyperparameters import BOOLEAN, JSON, TEXT, either, integer, number, one_of


def back(value, kind):
    return decode_hyperparameters(encode_hyperparameters({"p": value}), {"p": kind})["p"]


@given(st.floats(allow_nan=False))
def test_floats_are_read_back_exactly(value):
    found = back(value, number())
    assert found == value
    assert math.copysign(1, found) == math.copysign(1, value)
    assert back(np.float64(value), number()) == value


@given(st.floats(width=32, allow_nan=False))
def test_float32_is_read_back_exactly(value):
    assert np.float32(back(np.float32(value), number())) == np.float32(value)


@given(st.integers())
def test_integers_are_read_back(value):
    assert back(value, integer()) == value


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.lists(JSON_VALUES, max_size=4))
def test_lists_are_read_back(value):
    assert back(value, JSON) == value


@given(st.text("abc ,\"'[]{}0123456789.äß", max_size=50))
def test_texts_are_read_back_whatever_they_look_like(value):
    assert back(value, TEXT) == value


@pytest.mark.parametrize("value", [True, False, np.True_, np.False_])
def test_bools_are_read_back(value):
    assert back(value, BOOLEAN) is bool(value)


def test_encoding_is_what_the_built_in_algorithms_take():
    parameters = {
        "k": np.int64(11),
        "feature_dim": 251,
        "local_lloyd_tol": 1e-4,
        "force_dense": True,
        "init_method": np.str_("random"),
        "eval_metrics": ("msd", "ssd"),
        "max_shift": None,
        "tol": np.float32(0.5),
        "sizes": [np.int8(1), np.float64(0.1)],
    }
    assert encode_hyperparameters(parameters) == {
        "k": "11",
        "feature_dim": "251",
        "local_lloyd_tol": "0.0001",
        "force_dense": "True",
        "init_method": "random",
        "eval_metrics": '["msd", "ssd"]',
        "tol": "0.5",
        "sizes": "[1, 0.1]",
    }
    assert all(type(text) is str for text in encode_hyperparameters(parameters).values())


@pytest.mark.parametrize("array", [np.ones((3, 4)), pd.DataFrame(np.ones((3, 4))), np.array(1.0)])
def test_an_array_must_be_a_channel(array):
    with pytest.raises(ValueError, match=r"init is an array, .* channel of its own.* of shape \(") as caught:
        encode_hyperparameters({"k": 3, "init": array})
    assert type(array).__name__ in str(caught.value)


def nested():
    value: list = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (math.nan, r"p must be a number .* Got nan instead"),
        (np.float32("nan"), "Got nan"),
        ([1.0, math.inf], "a finite number in a list .* Got inf"),
        ("two\nlines", "p must be printable text on one line"),
        ("x" * 2501, "at most 2,500 characters .* Got 2,501 instead"),
        (list(range(2000)), "at most 2,500 characters"),
        (10**3000, "p has too many digits"),
        (object(), "p must be a number, a text, a bool, None, or a list .* Got object instead"),
        (1j, "Got complex"),
        ({1: 2}, "Got dict"),
        (np.datetime64("2020-01-01"), "Got date instead"),
        (np.longdouble(1), "Got longdouble instead"),
        ([np.ones(2)], "p is an array"),
        (nested(), "nested too deeply"),
    ],
)
def test_values_without_a_string_are_rejected_by_name(value, problem):
    with pytest.raises(ValueError, match=problem):
        encode_hyperparameters({"k": 1, "p": value})


def test_limits_are_those_of_a_job():
    assert len(encode_hyperparameters({f"p{n}": None if n > 99 else n for n in range(200)})) == 100
    with pytest.raises(
        ValueError, match=r"at most 100 hyperparameters\. Got 101 instead, the first too many being 'p100'"
    ):
        encode_hyperparameters({f"p{n}": n for n in range(101)})
    assert encode_hyperparameters({"p": "x" * 2500})
    for name in ("", "n" * 257, 5):
        with pytest.raises(ValueError, match="name of a hyperparameter must have 1 to 256"):
            encode_hyperparameters({name: 1})


SCHEMA = {
    "k": integer(1),
    "epochs": integer(1, 10),
    "tol": number(0, 1),
    "low": number(maximum=5),
    "verbose": BOOLEAN,
    "init": one_of("random", "kmeans++"),
    "n_init": either(one_of("auto"), integer(1)),
    "metrics": JSON,
    "name": TEXT,
}


def test_decoding_follows_the_declared_type():
    texts = {
        "k": "20",
        "tol": "1e-4",
        "low": "-inf",
        "verbose": "true",
        "init": "random",
        "n_init": "auto",
        "metrics": '["msd"]',
        "name": "20",
    }
    assert decode_hyperparameters(texts, SCHEMA) == {
        "k": 20,
        "tol": 1e-4,
        "low": -math.inf,
        "verbose": True,
        "init": "random",
        "n_init": "auto",
        "metrics": ["msd"],
        "name": "20",
    }
    assert decode_hyperparameters({"n_init": "3"}, SCHEMA) == {"n_init": 3}
    assert decode_hyperparameters({}, SCHEMA) == {}


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("k", "0", "k must be an integer >= 1. Got '0' instead."),
        ("k", "2.0", "k must be an integer >= 1. Got '2.0' instead."),
        ("k", "1_0", "Got '1_0' instead."),
        ("k", "٣", "k must be an integer"),
        ("k", "", "Got '' instead."),
        ("k", 5, "Got 5 instead."),
        ("epochs", "11", "epochs must be an integer from 1 to 10. Got '11' instead."),
        ("tol", "2", "tol must be a number from 0 to 1. Got '2' instead."),
        ("tol", "nan", "tol must be a number from 0 to 1. Got 'nan' instead."),
        ("tol", "0.1_0", "Got '0.1_0' instead."),
        ("tol", "__import__('os')", "tol must be a number"),
        ("low", "6", "low must be a number <= 5. Got '6' instead."),
        ("verbose", "1", "verbose must be 'True' or 'False'. Got '1' instead."),
        ("init", "best", "init must be 'random' or 'kmeans++'. Got 'best' instead."),
        ("n_init", "all", "n_init must be 'auto' or an integer >= 1. Got 'all' instead."),
        ("metrics", "[msd]", "metrics must be JSON. Got '[msd]' instead."),
        ("metrics", "[NaN]", "metrics must be JSON. Got '[NaN]' instead."),
        ("metrics", "[" * 2500, "metrics must be JSON."),
        ("K", "3", "K is not a hyperparameter. Valid names: epochs, init, k, low"),
    ],
)
def test_invalid_texts_are_rejected_by_name(name, text, problem):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        decode_hyperparameters({name: text}, SCHEMA)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 200


def test_all_problems_are_reported_at_once():
    with pytest.raises(ValueError, match=r"k must be .* tol must be"):
        decode_hyperparameters({"k": "x", "verbose": "True", "tol": "y"}, SCHEMA)


@given(st.text(max_size=60))
def test_any_text_gives_a_value_or_an_error(text):
    for name in SCHEMA:
        try:
            decode_hyperparameters({name: text}, SCHEMA)
        except ValueError as error:
            assert str(error).startswith(f"{name} must be")  # noqa: PT017
