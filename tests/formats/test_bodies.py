"""Request and response bodies in all four formats, and errors for everything else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shapecluster.exceptions import ArtifactError
from shapecluster.formats import (
    Predictions,
    decode_predictions,
    decode_rows,
    encode_predictions,
    encode_rows,
    media_type,
)
from tests.formats.damage import MB, at_most, read_damaged
from tests.reference.recordio import Record, frame

CSV, JSON, LINES, RECORDIO = MEDIA = [
    "text/csv",
    "application/json",
    "application/jsonlines",
    "application/x-recordio-protobuf",
]
ROWS = np.array([[1.5, 16.0, -0.1], [1e-300, 2.0, 1 / 3]])
ANSWER = Predictions(np.array([1, 0, 7]), np.array([3.0, 0.5, 2.25]))


def test_content_types_are_read_as_headers_are():
    assert media_type(" Application/JSON ; charset=utf-8") == JSON
    for unknown in ("", "text/html", "application/octet-stream", "x" * 500):
        with pytest.raises(ValueError, match=r"content type must be text/csv, .* Got '") as caught:
            media_type(unknown)
        assert not isinstance(caught.value, ArtifactError)
        assert len(str(caught.value)) < 300


def test_request_bodies_have_the_form_of_the_built_in_algorithms():
    assert encode_rows(ROWS[:1], CSV) == b"1.5,16.0,-0.1\n"
    assert encode_rows(ROWS[:1], JSON) == b'{"instances": [{"features": [1.5, 16.0, -0.1]}]}'
    assert encode_rows(ROWS[:1], LINES) == b'{"features": [1.5, 16.0, -0.1]}\n'


@pytest.mark.parametrize("media", MEDIA)
@given(
    hnp.arrays(
        np.float64,
        st.tuples(st.integers(1, 5), st.integers(1, 5)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_decoding_a_request_returns_the_encoded_rows(media, X):
    found = decode_rows(encode_rows(X, media), f"{media}; charset=utf-8", n_timepoints=X.shape[1])
    assert found.tobytes() == X.tobytes()


def test_recordio_keeps_float32():
    X = ROWS.astype(np.float32)
    assert len(encode_rows(X, RECORDIO)) < len(encode_rows(X.astype(float), RECORDIO))
    for media in MEDIA:
        assert np.array_equal(decode_rows(encode_rows(X, media), media), X)


@pytest.mark.parametrize(
    "body",
    [
        b"[[1, 2], [3.5, 4]]",
        b'{"instances": [{"features": [1, 2]}, {"features": [3.5, 4]}]}',
        b'{"instances": [[1, 2], {"features": {"values": [3.5, 4], "shape": [2]}}]}',
        b'{"instances": [{"data": {"features": {"values": [1, 2]}}}, {"data": {"features": [3.5, 4]}}]}',
    ],
)
def test_json_may_be_nested_in_several_ways(body):
    assert decode_rows(body, JSON).tolist() == [[1, 2], [3.5, 4]]
    instances = json.loads(body)
    instances = instances["instances"] if isinstance(instances, dict) else instances
    lines = "\n\n".join(json.dumps(one) for one in instances)
    assert decode_rows(lines.encode(), LINES).tolist() == [[1, 2], [3.5, 4]]


@pytest.mark.parametrize("media", MEDIA)
def test_empty_requests_have_no_rows(media):
    empty = {JSON: b'{"instances": []}'}.get(media, b"")
    assert decode_rows(empty, media, n_timepoints=3).shape == (0, 3)
    assert len(decode_rows(empty, media)) == 0


@pytest.mark.parametrize(
    ("body", "media", "problem"),
    [
        (b"", JSON, "it is not valid JSON"),
        (b"\xff", JSON, "it is not valid JSON"),
        (b"3", JSON, r'it must be {"instances": \[\.\.\.\]} or a list'),
        (b'{"rows": []}', JSON, r'it must be {"instances": \[\.\.\.\]} or a list'),
        (b"[1, 2]", JSON, "row 0 must be a list of numbers"),
        (b'[[1, 2], ["3", 4]]', JSON, "row 1 must be a list of numbers"),
        (b"[[1, true]]", JSON, "row 0 must be a list of numbers"),
        (b"[[1, null]]", JSON, "row 0 must be a list of numbers"),
        (b"[[1, NaN]]", JSON, "NaN is not a number in JSON"),
        (b"[[1, Infinity]]", JSON, "Infinity is not a number in JSON"),
        (b"[[1, 2], [3]]", JSON, "row 1 must have 2 values. Got 1"),
        (b"[[], []]", JSON, "row 0 must have some values. Got 0"),
        (b"[[1" + b"0" * 400 + b"]]", JSON, "beyond the range of a float"),
        (b"[[1" + b"0" * 5000 + b"]]", JSON, "it is not valid JSON"),
        (b"[" * 100_000, JSON, "nested too deeply"),
        (b'[{"features": {"values": [1], "keys": [0], "shape": [9]}}]', JSON, "row 0 must be dense"),
        (b"[1, 2]\n[1, x]\n", LINES, "The request cannot be read: line 2 is not valid JSON"),
        (b'[1, 2]\n\n{"a": 1}', LINES, "line 3 must be a list"),
        (b"AAPL,1\n", CSV, "field 1 of line 1"),
        (b"1,2\n3\n", CSV, "line 2 must have 2 numbers"),
        (b"1,2", RECORDIO, "ends within the header"),
    ],
)
def test_invalid_requests_are_rejected(body, media, problem):
    with pytest.raises(ArtifactError, match=problem):
        decode_rows(body, media)


@pytest.mark.parametrize("media", MEDIA)
def test_width_and_size_are_checked(media):
    body = encode_rows(ROWS, media)
    with pytest.raises(ArtifactError, match=r"must have 4 (values|numbers).*\. Got 3"):
        decode_rows(body, media, n_timepoints=4)
    with pytest.raises(ArtifactError, match="request must have at most 10 bytes"):
        decode_rows(body, media, max_bytes=10)


def test_csv_can_hold_nan_and_json_cannot():
    X = np.array([[1.0, 2.0], [np.nan, 1.0]])
    assert np.array_equal(decode_rows(encode_rows(X, CSV), CSV), X, equal_nan=True)
    for media in (JSON, LINES):
        with pytest.raises(ValueError, match="Got NaN or infinity in row 1"):
            encode_rows(X, media)
    with pytest.raises(ValueError, match=r"matrix of floats\. Got shape \(2,\)"):
        encode_rows(X[0], CSV)


# ------------------------------------------------------------------------------------------- answers


def test_response_bodies_have_the_form_of_the_built_in_algorithm():
    one = Predictions(np.array([1]), np.array([3.0]))
    assert (
        encode_predictions(one, JSON)
        == b'{"predictions": [{"closest_cluster": 1.0, "distance_to_cluster": 3.0}]}'
    )
    assert encode_predictions(one, LINES) == b'{"closest_cluster": 1.0, "distance_to_cluster": 3.0}\n'
    assert encode_predictions(one, CSV) == b"1.0,3.0\n"


def test_protobuf_reads_recordio_responses():
    """Google's parser reads our bodies; bodies of its writer, with labels in any order, are read too."""
    body = encode_predictions(ANSWER, RECORDIO)
    size = len(body) // 3
    for row in range(3):
        length = int.from_bytes(body[row * size + 4 : row * size + 8], "little")
        record = Record.FromString(body[row * size + 8 : row * size + 8 + length])
        assert list(record.label["closest_cluster"].float32_tensor.values) == [ANSWER.closest_cluster[row]]
        assert list(record.label["distance_to_cluster"].float32_tensor.values) == [
            ANSWER.distance_to_cluster[row]
        ]
        assert not record.features
    for names in (["closest_cluster", "distance_to_cluster"], ["distance_to_cluster", "closest_cluster"]):
        foreign = b""
        for row in range(3):
            record = Record()
            columns = {
                "closest_cluster": ANSWER.closest_cluster,
                "distance_to_cluster": ANSWER.distance_to_cluster,
            }
            for name in names:
                record.label[name].float32_tensor.values.append(columns[name][row])
            foreign += frame(record.SerializeToString())
        found = decode_predictions(foreign, RECORDIO, n_rows=3)
        assert np.array_equal(found.closest_cluster, ANSWER.closest_cluster)
        assert np.array_equal(found.distance_to_cluster, ANSWER.distance_to_cluster)


@pytest.mark.parametrize("media", MEDIA)
@given(
    st.lists(st.tuples(st.integers(0, 2**24 - 1), st.floats(0, 2**100, width=32)), max_size=30), st.booleans()
)
def test_decoding_a_response_returns_the_encoded_predictions(media, rows, with_distance):
    clusters = np.array([cluster for cluster, _ in rows], dtype=np.intp)
    distances = np.array([distance for _, distance in rows]) if with_distance else None
    found = decode_predictions(
        encode_predictions(Predictions(clusters, distances), media), media, n_rows=len(rows)
    )
    assert np.array_equal(found.closest_cluster, clusters)
    assert found.closest_cluster.dtype == np.intp
    if rows:
        assert (found.distance_to_cluster is None) == (distances is None)
        assert distances is None or np.array_equal(found.distance_to_cluster, distances)


def test_responses_with_ids_only_are_read():
    for body, media in (
        (b"1\n0\n", CSV),
        (b'{"predictions": [{"closest_cluster": 1}, {"closest_cluster": 0}]}', JSON),
    ):
        found = decode_predictions(body, media)
        assert found.closest_cluster.tolist() == [1, 0]
        assert found.distance_to_cluster is None


@pytest.mark.parametrize(
    ("body", "media", "problem"),
    [
        (b"1.5,2\n", CSV, "Prediction 0 of the response must be the id of a cluster.* Got 1.5"),
        (b"-1\n", CSV, "Got -1.0"),
        (b"nan\n", CSV, "Got nan"),
        (b"1e30\n", CSV, r"Got 1e\+30"),
        (b"1,nan\n", CSV, "Prediction 0 of the response must have a finite distance. Got nan"),
        (b"1,2,3\n", CSV, "an id and a distance. Got 3"),
        (b"<html>", CSV, "field 1 of line 1"),
        (b"[]", JSON, 'it must be {"predictions"'),
        (b'{"predictions": {}}', JSON, 'it must be {"predictions"'),
        (b'{"predictions": [1]}', JSON, "row 0 must have a number 'closest_cluster'"),
        (b'{"predictions": [{"closest_cluster": "1"}]}', JSON, "row 0 must have a number"),
        (b'{"predictions": [{"closest_cluster": true}]}', JSON, "row 0 must have a number"),
        (b'{"predictions": [{"closest_cluster": 1e999}]}', JSON, "Got inf"),
        (b'{"closest_cluster": 1%s}' % (b"0" * 400), LINES, "line 1 must have a number"),
        (b'{"closest_cluster": 1, "distance_to_cluster": 1}\n{"closest_cluster": 1}', LINES,
         "line 2 must have a number 'distance_to_cluster'"),
        (b'{"closest_cluster": 1}\n{"closest_cluster": 1, "distance_to_cluster": 1}', LINES,
         "line 1 must have a number 'distance_to_cluster'"),
        (frame(b""), RECORDIO, "record 0 must have one label 'closest_cluster', .* Got"),
        (encode_rows(ROWS, RECORDIO), RECORDIO, "record 0 must have one label 'closest_cluster', .* Got"),
    ],
)  # fmt: skip
def test_invalid_responses_are_rejected(body, media, problem):
    with pytest.raises(ArtifactError, match=problem):
        decode_predictions(body, media)


@pytest.mark.parametrize("media", MEDIA)
def test_the_number_of_predictions_is_checked(media):
    body = encode_predictions(ANSWER, media)
    with pytest.raises(ArtifactError, match=r"must have 4 predictions\. Got 3"):
        decode_predictions(body, media, n_rows=4)
    with pytest.raises(ArtifactError, match="response must have at most 10 bytes"):
        decode_predictions(body, media, max_bytes=10)


@pytest.mark.parametrize("media", MEDIA)
def test_changed_bytes_give_rows_or_an_error(media, rng):
    with at_most(12 * MB):
        _, refused = read_damaged(
            lambda b: decode_rows(b, media, n_timepoints=3), encode_rows(ROWS, media), rng, n=600
        )
        assert refused > 30
        body = encode_predictions(ANSWER, media)
        _, refused = read_damaged(lambda b: decode_predictions(b, media, n_rows=3), body, rng, n=600)
        assert refused > 30


@pytest.mark.parametrize("media", MEDIA)
@given(body=st.binary(max_size=60) | st.text('[]{}",:0123456789.eE+- \nfeaturs', max_size=60).map(str.encode))
def test_anything_gives_a_result_or_an_error(media, body):
    for decode in (decode_rows, decode_predictions):
        try:
            decode(body, media)
        except ArtifactError:
            continue
