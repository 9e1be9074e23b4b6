"""model.tar.gz: read one member of archives from any writer, and reject hostile ones."""

from __future__ import annotations

import gzip
import io
import os
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapecluster.exceptions import ArtifactError
from shapecluster.formats import Member, read_member
from tests.formats.damage import MB, at_most, read_damaged, rejected_when_truncated

TEXT = b"-1,1\n1,-1\n"


def info(name: str, size: int = 0, **attributes) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.size = size
    for key, value in attributes.items():
        setattr(made, key, value)
    return made


def squeezed(data: bytes) -> bytes:
    """Without a date: the bytes are the same in every run, also as the name of a test."""
    return gzip.compress(data, 6, mtime=0)


def packed(*members, format=tarfile.PAX_FORMAT) -> bytes:
    """An archive of (name, content) pairs or of TarInfo."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member, io.BytesIO(bytes(member.size)))
            else:
                name, content = member
                tar.addfile(info(name, len(content), mtime=1.5), io.BytesIO(content))
    return squeezed(file.getvalue())


MODEL = packed(("state_1", b"x" * 700), ("centroids", TEXT), ("more", b""))


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize(
    "name",
    [
        "centroids",
        "./centroids",
        "a//b/./centroids",
        "n" * 90 + "/" + "m" * 90 + "/centroids",
        "ünï/centroids",
    ],
)
def test_a_member_is_found_in_archives_of_any_writer(format, name):
    data = packed(info("./", type=tarfile.DIRTYPE), ("first", b"1" * 513), (name, TEXT), format=format)
    found = read_member(data, "*centroids")
    assert found.data == TEXT
    assert found.name == "/".join(part for part in name.split("/") if part not in (".", ""))


@pytest.mark.parametrize("format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_very_long_names_are_read(format):
    name = "/".join(["d" * 60] * 12) + "/model_algo-1"
    assert read_member(packed((name, TEXT), format=format), "*model_algo-*") == Member(name, TEXT)


def test_the_first_that_matches_is_read():
    data = packed(("state", b"0"), ("model_algo-2", b"2"), ("model_algo-1", b"1"))
    assert read_member(data, "model_algo-*") == Member("model_algo-2", b"2")
    assert read_member(data, "model_algo-1") == Member("model_algo-1", b"1")


def test_paths_files_and_bytes_are_accepted(tmp_path):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(MODEL)
    for source in (path, str(path), MODEL, bytearray(MODEL), memoryview(MODEL), io.BytesIO(MODEL)):
        assert read_member(source, "centroids").data == TEXT
    assert os.listdir(tmp_path) == ["model.tar.gz"]


def test_a_stream_that_gives_a_few_bytes_at_a_time_is_read():
    class Slow(io.BytesIO):
        def read(self, size=-1, /):
            return super().read(min(size, 5) if size >= 0 else 5)

    assert read_member(Slow(MODEL), "centroids").data == TEXT


def test_sizes_in_binary_are_read():
    """The form in which tarfile writes the size of members beyond 8 GiB."""
    raw = bytearray(gzip.decompress(packed(("centroids", TEXT), format=tarfile.USTAR_FORMAT)))
    raw[124:136] = b"\x80" + len(TEXT).to_bytes(11, "big")
    assert read_member(with_sums(raw), "centroids").data == TEXT


def with_one_end_block(raw: bytes) -> bytes:
    """The archive with a byte in the second of the two empty blocks that end it."""
    end = next(at for at in range(0, len(raw), 512) if not any(raw[at : at + 1024]))
    return raw[: end + 512] + b"x" + raw[end + 513 :]


def with_sums(raw: bytearray, at: int = 0) -> bytes:
    """The archive with a corrected checksum of one header."""
    raw[at + 148 : at + 156] = b" " * 8
    raw[at + 148 : at + 156] = b"%06o\0 " % sum(raw[at : at + 512])
    return squeezed(bytes(raw))


@pytest.mark.parametrize(
    ("member", "problem"),
    [
        (("../centroids", TEXT), "points outside of it"),
        (("a/../../centroids", TEXT), "points outside of it"),
        (("/centroids", TEXT), "points outside of it"),
        (("C:/centroids", TEXT), "points outside of it"),
        (("..\\centroids", TEXT), "points outside of it"),
        (
            info("link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
            r"'link' is a link, a device .* \(type b'2'\)",
        ),
        (
            info("link", type=tarfile.LNKTYPE, linkname="centroids"),
            r"'link' is a link, a device .* \(type b'1'\)",
        ),
        (info("null", type=tarfile.CHRTYPE), r"'null' is a link, a device .* \(type b'3'\)"),
        (info("disk", type=tarfile.BLKTYPE), r"'disk' is a link, a device .* \(type b'4'\)"),
        (info("pipe", type=tarfile.FIFOTYPE), r"or another special file \(type b'6'\)"),
        (info("sparse", type=tarfile.GNUTYPE_SPARSE), r"or another special file \(type b'S'\)"),
        (info("part", type=b"M"), r"or another special file \(type b'M'\)"),
        (info("what", type=b"Z"), r"or another special file \(type b'Z'\)"),
        (info("sparse", pax_headers={"GNU.sparse.major": "1"}), "it holds a sparse file"),
        (info("x", pax_headers={"size": "-5"}), "size of a member is invalid"),
        (info("x", pax_headers={"size": "9" * 18}), "it is truncated"),
        (info("x", pax_headers={"comment": "c" * 70_000}), "its attributes take"),
        (("centroids", b"again"), "holds 'centroids' twice"),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_an_archive_with_anything_but_files_and_folders_is_rejected(member, problem, before):
    members = [member, ("centroids", TEXT)] if before else [("centroids", TEXT), member]
    with at_most(4 * MB), pytest.raises(ArtifactError, match=problem) as caught:
        read_member(packed(*members), "centroids")
    assert "Nothing of it was extracted" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is truncated"),
        (b"PK\x03\x04", "not a complete file of gzip, as a .tar.gz is .Not a gzipped file"),
        (gzip.decompress(MODEL), "not a complete file of gzip"),
        (squeezed(b""), "it is truncated"),
        (squeezed(b"hello" * 200), "invalid size or checksum"),
        (squeezed(bytes(1) + gzip.decompress(MODEL)[1:]), "a header is damaged .bad checksum."),
        (squeezed(gzip.decompress(MODEL) + b"x"), "something follows its end"),
        (squeezed(with_one_end_block(gzip.decompress(MODEL))), "something follows its end"),
        (MODEL + b"junk", "not a complete file of gzip"),
        (MODEL[:-8] + bytes(8), "not a complete file of gzip.*CRC"),
    ],
)
def test_incomplete_archives_are_rejected(data, problem):
    with pytest.raises(ArtifactError, match=problem):
        read_member(data, "centroids")


@pytest.mark.parametrize("number", [b"-0000000012", b"+0000000012", b"0000_000012", b"\xff" * 11])
def test_sizes_that_only_a_lenient_reader_takes_are_rejected(number):
    raw = bytearray(gzip.decompress(packed(("centroids", TEXT), format=tarfile.USTAR_FORMAT)))
    raw[124:136] = number + b"\0"
    with pytest.raises(ArtifactError, match="invalid size or checksum"):
        read_member(with_sums(raw), "centroids")


def test_other_fields_of_old_gnu_headers_are_no_part_of_a_name():
    raw = bytearray(gzip.decompress(packed(("centroids", TEXT), format=tarfile.GNU_FORMAT)))
    raw[345:357] = b"14512345670\0"  # the time of the last access, where POSIX has a prefix
    assert read_member(with_sums(raw), "*centroids") == Member("centroids", TEXT)


def test_a_damaged_header_is_not_the_end():
    """tarfile takes a header with a wrong checksum after the first member for the end of the archive."""
    raw = bytearray(gzip.decompress(packed(("centroids", TEXT), ("more", b""), format=tarfile.USTAR_FORMAT)))
    raw[1024 + 148] ^= 1
    with pytest.raises(ArtifactError, match="a header is damaged"):
        read_member(squeezed(bytes(raw)), "centroids")


def test_attributes_of_all_members_change_no_name():
    raw = gzip.decompress(packed(info("x", pax_headers={"path": "y"}), ("centroids", TEXT)))
    assert raw[156:157] == b"x"
    for kind, name in ((b"x", "y"), (b"g", "x")):
        data = bytearray(raw)
        data[156:157] = kind
        assert read_member(with_sums(data), name) == Member(name, b"")


@pytest.mark.parametrize(
    "text", [b"4 a=\n", b"99 path=a\n", b"x path=a\n", b"8 path=a\n", b"0 path=a\n", b"10path=ab\n"]
)
def test_invalid_attributes_are_rejected(text):
    data = packed(("centroids", TEXT))
    raw = bytearray(gzip.decompress(data))
    assert raw[156:157] == b"x"  # its date is a fraction, which is an attribute
    raw[512:1024] = text.ljust(512, b"\0")
    raw[124:136] = b"%011o\0" % len(text)
    with pytest.raises(ArtifactError, match="attributes of a member are invalid"):
        read_member(with_sums(raw), "centroids")


def test_an_absent_member_is_named():
    with pytest.raises(
        ArtifactError, match=r"must hold a file 'model_algo-\*'. Got 'state_1', 'centroids', 'more'"
    ):
        read_member(MODEL, "model_algo-*")
    with pytest.raises(ArtifactError, match="Got nothing instead"):
        read_member(packed(), "centroids")
    with pytest.raises(ArtifactError, match=r"'9' and 2 more instead"):
        read_member(packed(*((str(number), b"") for number in range(12))), "centroids")


def test_a_folder_is_not_a_file():
    with pytest.raises(ArtifactError, match="must hold a file 'centroids'"):
        read_member(packed(info("centroids", type=tarfile.DIRTYPE)), "centroids")


def test_sizes_of_skipped_members_are_bounded_too():
    bomb = packed(("zeros", bytes(50 * MB)), ("centroids", TEXT))
    assert len(bomb) < MB
    assert read_member(bomb, "centroids").data == TEXT
    with at_most(8 * MB):
        assert read_member(bomb, "centroids").data == TEXT
        with pytest.raises(ArtifactError, match="more than 1,000,000 bytes when decompressed"):
            read_member(bomb, "centroids", max_total_bytes=1_000_000)
        with pytest.raises(ArtifactError, match="'zeros' claims 52,428,800 bytes, above the limit of 5"):
            read_member(bomb, "zeros", max_bytes=5)
    with pytest.raises(ArtifactError, match="more than 10 members"):
        read_member(packed(*((str(number), b"") for number in range(50))), "centroids", max_members=10)


def test_every_truncation_is_rejected():
    rejected_when_truncated(
        lambda data: read_member(data, "centroids"), packed(("centroids", TEXT), ("x", b"y"))
    )


def test_changed_bytes_give_the_member_or_an_error(rng):
    def check(member):
        assert member == Member("centroids", TEXT)

    with at_most(8 * MB):
        _, refused = read_damaged(lambda d: read_member(d, "centroids"), MODEL, rng, n=1500, check=check)
    assert refused > 500


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_changed_headers_give_a_member_or_an_error(rng, format):
    """With corrected checksums, so that damage in every field of a header is tested."""
    raw = gzip.decompress(packed(("n" * 120 + "/centroids", TEXT), ("more", b"y" * 600), format=format))

    def read(version: bytes):
        data = bytearray(version)
        for at in range(0, len(data) - 511, 512):
            if any(data[at : at + 512]) and data[at + 257 : at + 262] == b"ustar":
                data[at + 148 : at + 156] = b" " * 8
                data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
        return read_member(squeezed(bytes(data)), "*centroids")

    with at_most(8 * MB):
        sound, refused = read_damaged(read, raw[:5632], rng, n=1000)
    assert sound > 50
    assert refused > 50


@given(st.dictionaries(st.text("abc", min_size=1, max_size=8), st.binary(max_size=2000), max_size=4))
def test_each_member_is_read_back(members):
    data = packed(*members.items())
    for name, content in members.items():
        assert read_member(data, name) == Member(name, content)


def test_random_content_is_read_back_from_a_file(tmp_path, rng):
    content = rng.integers(256, size=3_000_000, dtype=np.uint8).tobytes()
    (tmp_path / "m.tar.gz").write_bytes(packed(("model_algo-1", content)))
    assert read_member(tmp_path / "m.tar.gz", "model_algo-*").data == content
