"""Images in Zarr arrays: chunks are records, parts are read and written as such, and what they cannot hold is
refused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
import zarr

import atlcodec
import atlcodec.zarr
from atlcodec.card import BUNDLED
from atlcodec.codec import Codec
from atlcodec.errors import BadImage, DamagedRecord, NotARecord, UnknownModel
from atlcodec.zarr import LossyRecords, LossyRecordsV2
from drawings import Pixels
from kit import environment

atlcodec.zarr.register()


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.load("mnist-lenet")


@pytest.fixture(scope="module")
def sevens(draw: Callable[..., Pixels]) -> Pixels:
    """Fifty of them, in chunks of sixteen: the last chunk holds two."""
    return np.stack([draw(slant) for slant in np.linspace(-4, 4, 50)])


@pytest.fixture(scope="module")
def decoded(sevens: Pixels, codec: Codec) -> Pixels:
    return codec.decode(codec.encode(sevens))


@pytest.fixture
def array(sevens: Pixels, tmp_path: Path) -> Any:
    serializer = LossyRecords("mnist-lenet")
    zarr.create_array(tmp_path / "x.zarr", data=sevens, chunks=(16, 28, 28), compressors=None, serializer=serializer)
    return zarr.open_array(tmp_path / "x.zarr", mode="r+")


@pytest.fixture
def chunk(array: Any, tmp_path: Path) -> Path:
    """The file of images 16 to 31."""
    return tmp_path / "x.zarr/c/1/0/0"


def near(a: Any, b: Any) -> bool:
    """The same pixels, as far as decoding alone or among others gives the same."""
    assert np.shape(a) == np.shape(b)
    return bool((np.abs(np.asarray(a, int) - np.asarray(b, int)) <= 1).all())


def test_chunks_are_files_of_records(
    array: Any, chunk: Path, sevens: Pixels, decoded: Pixels, codec: Codec, tmp_path: Path
) -> None:
    assert chunk.read_bytes() == codec.encode(sevens[16:32]).tobytes()
    assert near([atlcodec.decode(row) for row in atlcodec.open(chunk).array], decoded[16:32])
    assert (tmp_path / "x.zarr/c/3/0/0").stat().st_size == 16 * 200  # filled up with black images
    (stored,) = json.loads((tmp_path / "x.zarr/zarr.json").read_text())["codecs"]
    assert stored == {
        "name": "atlcodec.records",
        "configuration": {"model": f"{codec.id:08x}", "lossy": True, "shape": [28, 28]},
    }
    assert near(array[:], decoded)


def test_the_encoders_effort_is_passed_on_and_stored(chunk: Path, sevens: Pixels, codec: Codec, tmp_path: Path) -> None:
    expected = codec.encode(sevens[16:32], effort=3).tobytes()
    assert chunk.read_bytes() != expected
    serializer, compressor = LossyRecords("mnist-lenet", effort=3), LossyRecordsV2("mnist-lenet", effort=3)
    zarr.create_array(tmp_path / "y.zarr", data=sevens, chunks=(16, 28, 28), compressors=None, serializer=serializer)
    assert (tmp_path / "y.zarr/c/1/0/0").read_bytes() == expected
    assert numcodecs.get_codec(compressor.get_config()).encode(sevens[16:32]) == expected
    again: Any = zarr.open_array(tmp_path / "y.zarr", mode="r+")
    again[16] = sevens[20]  # as the metadata say
    assert (tmp_path / "y.zarr/c/1/0/0").read_bytes()[:200] == codec.encode(sevens[20:21], effort=3).tobytes()


def test_any_part_can_be_read(array: Any, decoded: Pixels) -> None:
    for part in np.s_[7], np.s_[3:40:5], np.s_[3:40, 5, ::2], np.s_[-1, ..., 3], np.s_[0:0], np.s_[[1, 40, 7]]:
        assert near(array[part], decoded[part])
    assert near(array.oindex[[3, 45], :, [1, 2]], decoded[np.ix_([3, 45], range(28), [1, 2])])
    assert near(array.vindex[[3, 45], [5, 6], [1, 2]], decoded[[3, 45], [5, 6], [1, 2]])


def test_reading_a_part_ignores_the_rest(array: Any, chunk: Path, decoded: Pixels) -> None:
    data = bytearray(chunk.read_bytes())
    data[4 * 200 + 9] ^= 4
    chunk.write_bytes(data)
    assert near(array[16:20], decoded[16:20])
    for part in 20, np.s_[17:30], np.s_[:]:
        with pytest.raises(DamagedRecord, match=r"c/1/0/0: record 4: damaged: bit 2 of byte 9"):
            array[part]
    array[20] = 0  # written as a whole: the old values are not needed
    assert near(array[16:20], decoded[16:20])
    chunk.write_bytes(data[:3000])
    assert near(array[16:20], decoded[16:20])
    with pytest.raises(NotARecord, match=r"c/1/0/0: holds 3000 bytes, but 16 records have 3200"):
        array[16:32]


def test_writing_a_part_leaves_the_other_records_as_they_are(
    array: Any, chunk: Path, sevens: Pixels, codec: Codec
) -> None:
    before = np.fromfile(chunk, np.uint8).reshape(-1, 200)
    array[18] = sevens[40]
    array[20, 2:9, 3] = 200
    after = np.fromfile(chunk, np.uint8).reshape(-1, 200)
    assert np.nonzero((before != after).any(axis=1))[0].tolist() == [2, 4]
    assert after[2].tobytes() == codec.encode(sevens[40:41]).tobytes()
    changed = codec.decode(before[4])
    changed[0, 2:9, 3] = 200
    assert near(codec.decode(after[4:5]), codec.decode(codec.encode(changed)))


def test_records_never_written_are_never_stored(tmp_path: Path, sevens: Pixels, decoded: Pixels) -> None:
    array: Any = zarr.create_array(
        tmp_path / "x.zarr",
        shape=(40, 28, 28),
        dtype="u1",
        chunks=(16, 28, 28),
        compressors=None,
        serializer=LossyRecords("mnist-lenet"),
    )
    array[:16] = 0
    array[20] = sevens[3]
    assert [path.name for path in (tmp_path / "x.zarr/c").iterdir()] == ["1"]
    assert near(array[20], decoded[3])
    assert array[:16].max() == 0


def test_more_dimensions_shards_and_further_compression(sevens: Pixels, decoded: Pixels) -> None:
    serializer = LossyRecords("mnist-lenet")
    many: Any = zarr.create_array(
        {}, data=sevens[:48].reshape(2, 3, 8, 28, 28), chunks=(1, 2, 4, 28, 28), compressors=None, serializer=serializer
    )
    assert near(many[:, 1, 3:6], decoded[:48].reshape(2, 3, 8, 28, 28)[:, 1, 3:6])
    many.oindex[[0, 1], 1, [3, 2]] = sevens[[[4, 5], [6, 7]]]
    assert near(many.oindex[[0, 1], 1, [3, 2]], decoded[[[4, 5], [6, 7]]])
    shards = zarr.create_array(
        {}, data=sevens, shards=(32, 28, 28), chunks=(8, 28, 28), compressors=None, serializer=serializer
    )
    shards[9] = sevens[0]
    assert near(shards[8:11], decoded[[8, 0, 10]])
    squeezed = zarr.create_array(
        {}, data=sevens, chunks=(16, 28, 28), serializer=serializer
    )  # Zarr adds its own compressor
    assert squeezed.compressors
    assert near(squeezed[5:20], decoded[5:20])


def test_arrays_of_other_shapes_or_types_are_refused(sevens: Pixels) -> None:
    for data, chunks, said in (
        (sevens.astype(np.float32), (16, 28, 28), "float32"),
        (sevens[:, :20], (16, 20, 28), r"\(50, 20, 28\)"),
        (sevens, (16, 14, 28), r"in \(16, 14, 28\); give chunks=\(1024, 28, 28\)"),
    ):
        with pytest.raises(BadImage, match=f"an array of images is uint8 .*{said}"):
            zarr.create_array({}, data=data, chunks=chunks, compressors=None, serializer=LossyRecords("mnist-lenet"))
        with pytest.raises(BadImage, match="the images must be uint8"):
            zarr.create_array({}, data=data, chunks=chunks, zarr_format=2, compressors=LossyRecordsV2("mnist-lenet"))


def test_metadata_name_a_codec_only_by_its_id(array: Any, tmp_path: Path) -> None:
    stored = tmp_path / "x.zarr/zarr.json"
    metadata = json.loads(stored.read_text())
    for model in (str(BUNDLED / "mnist-lenet"), "mnist-lenet", "", None, 7, ["c2c2d761"]):
        metadata["codecs"][0]["configuration"]["model"] = model
        stored.write_text(json.dumps(metadata))
        with pytest.raises(UnknownModel, match="by its id of eight hex digits"):
            zarr.open_array(tmp_path / "x.zarr")
        with pytest.raises(UnknownModel, match="by its id of eight hex digits"):
            numcodecs.get_codec({"id": "atlcodec.records", "model": model})
    metadata["codecs"][0]["configuration"]["model"] = "01234567"
    stored.write_text(json.dumps(metadata))
    unknown = zarr.open_array(tmp_path / "x.zarr")
    assert unknown.shape == (50, 28, 28)
    with pytest.raises(UnknownModel, match="'01234567' is installed"):
        unknown[0]


def test_zarr_2_and_others_that_use_numcodecs(sevens: Pixels, decoded: Pixels, codec: Codec, tmp_path: Path) -> None:
    compressor = LossyRecordsV2("mnist-lenet")
    zarr.create_array(tmp_path / "v2.zarr", data=sevens, chunks=(16, 28, 28), zarr_format=2, compressors=compressor)
    assert (tmp_path / "v2.zarr/1.0.0").read_bytes() == codec.encode(sevens[16:32]).tobytes()
    assert near(zarr.open_array(tmp_path / "v2.zarr")[5:20], decoded[5:20])
    assert compressor.get_config() == {"id": "atlcodec.records", "model": f"{codec.id:08x}", "lossy": True}
    again = numcodecs.get_codec(compressor.get_config())
    assert again == compressor
    out = np.empty_like(sevens)
    assert near(again.decode(compressor.encode(sevens), out=out), decoded)
    assert near(out, decoded)
    with pytest.raises(BadImage, match="order='C'"):
        compressor.encode(np.asfortranarray(sevens))
    with pytest.raises(NotARecord):
        compressor.decode(bytes(199))


def test_without_zarr_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['zarr.abc.codec'] = None; import atlcodec; print('here'); import atlcodec.zarr"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "here\n"
    assert "AtlcError: Zarr arrays need zarr 3.1 and numcodecs: pip install 'atlcodec[zarr]'" in done.stderr
