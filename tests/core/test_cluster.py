"""The batch functions, called by a loop."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atlcodec import cluster
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadImage, NotARecord, UnknownModel
from cluster_kit import COUNT, FASHION, MNIST, Array, moved_sevens, pa, packed, pq, tensors


@pytest.fixture(scope="module")
def images() -> Array:
    return moved_sevens()


@pytest.fixture(scope="module")
def records(images: Array) -> Array:
    return Codec.load(MNIST).encode(images)


def test_batches_of_numpy_arrays(images: Array, records: Array) -> None:
    codec = Codec.load(MNIST)
    encoded = cluster.Encode(MNIST)({"number": np.arange(COUNT), "image": images})
    assert list(encoded) == ["number", "record", "problem"]
    assert np.array_equal(encoded["record"], records)
    assert not np.any(encoded["problem"] != "")
    answer = cluster.Classify()(encoded)
    scores = codec.classify(records)
    assert answer["label"].tolist() == [codec.labels[index] for index in scores.argmax(1)]
    assert np.array_equal(answer["probability"], scores.max(1))
    assert np.array_equal(answer["record"], records)
    decoded = cluster.Decode()(answer)
    assert np.array_equal(decoded["image"], codec.decode(records))
    assert np.array_equal(decoded["number"], np.arange(COUNT))
    assert cluster.Encode(MNIST)({"image": np.array([])})["record"].shape == (0, 200)


def test_the_encoders_effort_is_passed_on(images: Array, records: Array) -> None:
    function = cluster.Encode(MNIST, effort=3)
    for encode in (function, pickle.loads(pickle.dumps(function))):
        encoded = encode({"image": images[:20]})["record"]
        assert np.array_equal(encoded, Codec.load(MNIST).encode(images[:20], effort=3))
        assert not np.array_equal(encoded, records[:20])


def test_batches_of_arrow_are_what_parquet_should_hold(images: Array, records: Array, tmp_path: Path) -> None:
    codec = Codec.load(MNIST)
    table = pa.table({"number": range(COUNT), "image": tensors(images)}, metadata={"of": "ours"})
    pq.write_table(cluster.Encode(MNIST)(table), tmp_path / "x.parquet")
    encoded = pq.read_table(tmp_path / "x.parquet")
    assert encoded.schema.field("record").type == pa.binary(200)
    assert encoded.schema.metadata == {b"of": b"ours", b"atlc.ids": f"{codec.id:08x}".encode()}
    assert np.array_equal(packed(encoded["record"]), records)
    answer = cluster.Classify()(encoded)
    assert answer["label"].to_pylist() == [codec.labels[index] for index in codec.classify(records).argmax(1)]
    assert answer["problem"].null_count == COUNT
    decoded = cluster.Decode()(answer)
    assert np.array_equal(decoded["image"].combine_chunks().to_numpy_ndarray(), codec.decode(records))
    assert decoded.schema.metadata == {b"of": b"ours"}
    assert cluster.Classify()(encoded.slice(0, 0)).schema == answer.schema


@pytest.mark.parametrize(
    "kind", ["binary", "large_binary", "fixed_size_binary[784]", "list", "fixed_size_list", "tensor"]
)
def test_columns_that_other_programs_write(kind: str, images: Array, records: Array) -> None:
    flat = list(images.reshape(COUNT, -1))
    cells = [row.tobytes() for row in flat]
    column = {
        "binary": pa.array(cells, pa.binary()),
        "large_binary": pa.array(cells, pa.large_binary()),
        "fixed_size_binary[784]": pa.array(cells, pa.binary(784)),
        "list": pa.array(flat, pa.list_(pa.uint8())),
        "fixed_size_list": pa.array(flat, pa.list_(pa.uint8(), 784)),
        "tensor": tensors(images),
    }[kind]
    table = pa.table({"image": pa.chunked_array([column[:7], column[7:]])}).slice(3)
    assert np.array_equal(packed(cluster.Encode(MNIST)(table)["record"]), records[3:])


def test_a_bad_row_stops_only_itself_and_says_why(images: Array, records: Array) -> None:
    rows: list[Any] = [row.tobytes() for row in records[:7]]
    rows[1:5] = [None, b"short", bytes([rows[3][0] ^ 1]) + rows[3][1:], bytes(200)]
    rows[5] = Codec.load(FASHION).encode(images[5:6]).tobytes()
    table = pa.table({"record": pa.array(rows, pa.binary()), "path": list("abcdefg")})
    for batch in (table, {"record": np.array(rows, object), "path": np.array(list("abcdefg"))}):
        answer = pa.table(dict(cluster.Classify()(batch))) if isinstance(batch, dict) else cluster.Classify()(batch)
        why = [problem or None for problem in answer["problem"].to_pylist()]
        assert [problem is None for problem in why] == [True, False, False, False, False, True, True]
        assert [bool(label) for label in answer["label"].to_pylist()] == [problem is None for problem in why]
        assert why[1:3] == ["the record is null", "the record has 5 bytes, not 200"]
        assert "bit 0 of byte 0 of a record of mnist-lenet is flipped" in str(why[3])
        assert "only zeros, not a record" in str(why[4])
    assert answer["probability"].to_numpy()[[1, 2, 3, 4]].tolist() == pytest.approx([np.nan] * 4, nan_ok=True)
    # A record that could not be decoded gives no image; the row keeps its reason when it is encoded again.
    again = cluster.Encode(MNIST)(cluster.Decode()(table))
    assert again["record"].is_null().to_pylist() == [problem is not None for problem in why]
    assert again["problem"].to_pylist() == why
    nothing = cluster.Classify()(pa.table({"record": pa.nulls(2)}))
    assert nothing["problem"].to_pylist() == ["the record is null"] * 2
    only = cluster.Classify(model=MNIST)(table)["problem"].to_pylist()
    assert "written by fashion-lenet, not by mnist-lenet" in only[5]
    with pytest.raises(NotARecord, match=r"row 1 of the batch \(b\): the record is null"):
        cluster.Classify(strict=True)(table)
    odd = np.array([images[0], images[0].tobytes(), images[0][1:], "seven"], object)
    encoded = cluster.Encode(MNIST)({"image": odd})
    assert np.array_equal(encoded["record"], [records[0], records[0], np.zeros(200), np.zeros(200)])
    assert encoded["problem"].tolist() == [
        "",
        "",
        "the image is uint8 (27, 28), not uint8 (28, 28)",
        "the image is a str, not uint8 (28, 28)",
    ]


def test_mistakes_in_the_job_are_errors(images: Array, records: Array, own_model: Path) -> None:
    encode, classify = cluster.Encode(MNIST), cluster.Classify()
    with pytest.raises(
        BadImage, match=r"column 'image' is uint8 \(400, 27, 28\); it must be uint8 \(N, 28, 28\), or 784"
    ):
        encode({"image": images[:, 1:]})
    with pytest.raises(BadImage, match="column 'image' is string; it must"):
        encode(pa.table({"image": ["seven"]}))
    with pytest.raises(NotARecord, match="no column 'record'; rename one of its columns: image"):
        classify({"image": images})
    with pytest.raises(AtlcError, match="a batch must be a dict of NumPy arrays or a pyarrow Table, not a RecordBatch"):
        encode(pa.record_batch({"image": tensors(images)}))
    with pytest.raises(AtlcError, match="a column 'label' already"):
        classify({"record": records, "label": records[:, 0]})
    renamed = cluster.Classify(label="predicted")({"record": records, "label": records[:, 0]})
    assert set(renamed["predicted"]) <= set(Codec.load(MNIST).labels)
    for make in (
        cluster.Encode,
        lambda model: cluster.Decode(model=model),
        lambda model: cluster.Classify(model=model),
    ):
        with pytest.raises(UnknownModel, match="no model 'another' is installed"):
            make("another")
    with pytest.raises(UnknownModel, match="has no classifier 'another'"):
        cluster.Classify("another", model=MNIST)
    assert "has no classifier 'another'" in cluster.Classify("another")({"record": records[:1]})["problem"][0]
    mine = cluster.Encode(own_model)({"image": images[:3]})
    assert cluster.Classify("letters", model=own_model)(mine)["problem"].tolist() == ["", "", ""]


def test_they_are_pickled_as_their_arguments(images: Array, records: Array) -> None:
    encode, decode, classify = (
        cluster.Encode(MNIST, strict=True),
        cluster.Decode(model=MNIST),
        cluster.Classify(label="digit"),
    )
    encoded = encode({"image": images})
    done = classify(decode(encoded) | encoded)
    sent = [pickle.dumps(function) for function in (encode, decode, classify)]
    assert max(map(len, sent)) < 300
    encode, decode, classify = map(pickle.loads, sent)
    assert (encode.strict, decode.model, classify.label) == (True, MNIST, "digit")
    again = encode({"image": images})
    again = classify(decode(again) | again)
    assert again.keys() == done.keys()
    assert all(np.array_equal(again[name], done[name]) for name in done)
