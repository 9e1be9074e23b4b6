"""Centroids as text: the same bits after decoding, and a report on files of other programs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shapecluster import LocalKShape
from shapecluster.exceptions import ArtifactError
from shapecluster.formats import decode_centroids, encode_centroids
from tests.formats.damage import MB, at_most, read_damaged


def znormalized(rng, k: int, m: int) -> np.ndarray:
    values = rng.normal(size=(k, m)).cumsum(axis=1)
    values -= values.mean(axis=1, keepdims=True)
    return values / values.std(axis=1, keepdims=True)


def test_a_line_has_seventeen_digits():
    assert encode_centroids([[0.1, -1 / 3]]) == b"0.10000000000000001,-0.33333333333333331\n"


@pytest.mark.parametrize("m", [2, 3, 50, 251, 5000])
def test_normalized_centroids_are_read_back_bit_for_bit(rng, m):
    centroids = znormalized(rng, 7, m)
    found, report = decode_centroids(encode_centroids(centroids), 7, m)
    assert found.tobytes() == centroids.tobytes()
    assert report.complete
    assert report.renormalized == {}
    assert str(report) == "7 of 7 centroids can be used."


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centers_of_an_estimator_are_read_back_bit_for_bit(rng, dtype, n_channels):
    X = rng.normal(size=(40, 60, n_channels)).cumsum(axis=1).astype(dtype)
    X = X[:, :, 0] if n_channels == 1 else X
    centers = LocalKShape(3, random_state=0).fit(X).cluster_centers_
    found, report = decode_centroids(
        encode_centroids(centers),
        3,
        60,
        n_channels=None if n_channels == 1 else n_channels,
        tolerance=1e-12 if centers.dtype == np.float64 else 4e-6,
    )
    assert report.renormalized == {}
    assert np.array_equal(found, centers)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(2, 8)), elements=st.floats(-1e308, 1e308))
)
def test_any_finite_centroids_are_read_and_normalized(values):
    try:
        found, report = decode_centroids(encode_centroids(values), *values.shape)
    except ArtifactError as error:
        assert "never move" in str(error)  # noqa: PT017
        return
    assert len(found) == len(report.kept)
    assert set(report.kept) | set(report.flat) == set(range(len(values)))
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-12)


def test_six_digits_are_normalized_again_and_reported(rng):
    centroids = znormalized(rng, 3, 100)
    text = "".join(",".join(f"{x:.6g}" for x in row) + "\n" for row in centroids * [[1.0], [1.02], [1.0]])
    found, report = decode_centroids(text.encode(), 3, 100)
    np.testing.assert_allclose(found, centroids, atol=2e-5)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-15)
    np.testing.assert_allclose(found.std(axis=1), 1, atol=1e-15)
    assert set(report.renormalized) == {0, 1, 2}
    assert report.renormalized[1] == pytest.approx(0.02, rel=1e-3)
    assert 0 < report.renormalized[0] < 1e-4
    assert str(report) == (
        "3 of 3 centroids can be used. Clusters 0, 1, 2 were normalized again: "
        "mean or standard deviation was off by up to 0.02."
    )


def test_missing_and_unusable_centroids_are_named_and_left_out():
    text = b"-1,1\nnan,1\n1,-1\n5,5\n\n1e400,1\n"
    found, report = decode_centroids(text, 8, 2)
    assert found.tolist() == [[-1, 1], [1, -1]]
    assert report.kept == (0, 2)
    assert (report.not_finite, report.flat, report.missing) == ((1, 5), (3,), (4, 6, 7))
    assert not report.complete
    assert str(report) == (
        "2 of 8 centroids can be used. Clusters 4, 6, 7 are missing. Clusters 1, 5 hold NaN or infinity. "
        "Cluster 3 never moves, so it has no shape."
    )
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.kept = ()


def test_a_long_list_of_clusters_is_shortened():
    _, report = decode_centroids(b"-1,1\n", 30, 2)
    assert "Clusters 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 19 more are missing." in str(report)


def test_ends_of_lines_and_blanks_do_not_matter():
    for text in (b"-1,1\r\n1,-1\r\n", b" -1 , 1 \n 1,-1", b"-1,1\n1,-1\n\n\n", b"-1.0e0,+1\n1,-1\n"):
        assert decode_centroids(text, 2, 2)[0].tolist() == [[-1, 1], [1, -1]]


def test_channels_stand_next_to_each_other_and_are_normalized_each(rng):
    centroids = np.stack([znormalized(rng, 4, 30), 3 * znormalized(rng, 4, 30)], axis=2)
    centroids[1, :, 1] = 0.0  # does not move, beside one that does
    text = encode_centroids(centroids)
    assert text.splitlines()[0].split(b",")[1] == f"{centroids[0, 0, 1]:.17g}".encode()
    found, report = decode_centroids(text, 4, 30, n_channels=2)
    assert found.shape == (4, 30, 2)
    assert np.array_equal(found[1], centroids[1])
    np.testing.assert_allclose(found[0], centroids[0] / [1, 3], atol=1e-12)
    assert report.renormalized == pytest.approx({0: 2.0, 2: 2.0, 3: 2.0})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "0 of 2 centroids can be used. Clusters 0, 1 are missing"),
        (b"nan,nan\n", "Cluster 1 is missing. Cluster 0 holds NaN"),
        (b"-1,1\n1,-1\n0,0\n", "it has 3 lines for 2 clusters"),
        (b"-1,1\n1,-1,0\n", r"line 2 must have 2 numbers\. Got 3 instead"),
        (b"-1,1\n1\n", r"line 2 must have 2 numbers\. Got 1 instead"),
        (b"-1 1\n", r"line 1 must have 2 numbers\. Got 1"),
        (b"a,b\n-1,1\n", "field 1 of line 1 must be a number. Got 'a' instead"),
        (b"-1,\n", "field 2 of line 1 must be a number. Got '' instead"),
        (b"-1,1_0\n", "Got '1_0' instead"),
        (b"-1,\xc2\xb2\n", "field 2 of line 1 must be a number"),
        (b"-1,0x1p3\n", "Got '0x1p3'"),
    ],
)
def test_malformed_centroids_are_rejected(text, problem):
    with pytest.raises(ArtifactError, match=problem) as caught:
        decode_centroids(text, 2, 2)
    assert "Look at the log of the training job" in str(caught.value)


def test_every_truncation_is_detected(rng):
    """Lost lines are missing, lost numbers are rejected, lost digits are reported if they matter."""
    centroids = znormalized(rng, 3, 4)
    text = encode_centroids(centroids)
    for size in range(len(text) - 1):
        try:
            found, report = decode_centroids(text[:size], 3, 4)
        except ArtifactError:
            continue
        assert report.missing or report.renormalized or np.allclose(found, centroids, rtol=0, atol=1e-11)


def test_sizes_are_bounded():
    with pytest.raises(ArtifactError, match="`max_bytes`"):
        decode_centroids(b"1,-1\n" * 1000, 1000, 2, max_bytes=100)
    commas = b"," * (4 * MB)
    with at_most(9 * MB), pytest.raises(ArtifactError, match=r"must have 2 numbers\. Got 4,194,305"):
        decode_centroids(commas, 2, 2)
    with at_most(9 * MB), pytest.raises(ArtifactError, match="4,194,305 lines for 2"):
        decode_centroids(b"\n" * 4 * MB + b"1", 2, 2)


def test_invalid_input_of_the_writer_is_rejected():
    with pytest.raises(ValueError, match="Got NaN or infinity in row 1"):
        encode_centroids([[1, 2], [np.nan, 1]])
    for nothing in ([], [1.0, 2.0], np.empty((3, 0))):
        with pytest.raises(ValueError, match="must be a matrix with at least one row"):
            encode_centroids(nothing)


def test_changed_bytes_give_centroids_or_an_error(rng):
    def check(result):
        centroids, report = result
        assert len(centroids) == len(report.kept)
        assert np.isfinite(centroids).all()

    text = encode_centroids(znormalized(rng, 3, 5))
    with at_most(4 * MB):
        sound, refused = read_damaged(lambda t: decode_centroids(t, 3, 5), text, rng, n=2000, check=check)
    assert sound > 50
    assert refused > 50
