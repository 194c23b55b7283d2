"""What every codec must do, with any networks: `check_codec(codec, images)`."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest

from atlcodec import metrics, record
from atlcodec.codec import Codec, Images
from atlcodec.errors import BadImage, BadModel, DamagedRecord, NotARecord


def check_codec(codec: Codec, images: Images) -> None:
    """Assert what a `Codec` promises; `images` are ten or more, uint8 (N, *shape)."""
    assert images.shape[1:] == codec.shape
    assert len(images) >= 10
    check_identity(codec)
    check_encode(codec, images)
    check_decode(codec, images)
    if codec.model.refines:
        check_effort(codec, images)
    if codec.model.card.default_head is not None:
        check_classify(codec, images)
    check_bad_input(codec, images)
    check_pickle(codec, images)


def check_identity(codec: Codec) -> None:
    digest = hashlib.sha256((codec.model.folder / "decompressor.onnx").read_bytes()).digest()
    assert codec.id == int.from_bytes(digest[:4])
    assert codec.id not in record.RESERVED
    assert codec.name == codec.model.name


def check_encode(codec: Codec, images: Images) -> None:
    records = codec.encode(images, effort=0)
    assert records.shape == (len(images), 200)
    assert records.dtype == np.uint8
    assert (record.ids(records) == codec.id).all()
    for size in (1, 2, 7):  # the size of a batch changes nothing
        parts = [codec.encode(images[start : start + size], effort=0) for start in range(0, len(images), size)]
        assert np.array_equal(np.concatenate(parts), records)
    assert codec.encode(images[:0], effort=0).shape == (0, 200)
    latents = codec.latents(images)
    packing = codec.model.card.packing
    assert latents.shape == (len(images), *packing.shape)
    assert latents.dtype == np.float32
    assert latents.min() >= 0
    assert (latents.reshape(len(images), -1) <= packing.top).all()


def check_decode(codec: Codec, images: Images) -> None:
    records = codec.encode(images, effort=0)
    decoded = codec.decode(records)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8
    assert np.array_equal(codec.decode(records.tobytes()), decoded)
    for size in (1, 3):
        parts = [codec.decode(records[start : start + size]) for start in range(0, len(images), size)]
        assert np.array_equal(np.concatenate(parts), decoded)
    assert codec.decode(records[:0]).shape == (0, *codec.shape)


def check_effort(codec: Codec, images: Images) -> None:
    errors = [metrics.squared_error(images, codec.decode(codec.encode(images, effort))).mean() for effort in (0, 5, 7)]
    assert errors[0] > max(errors[1:])
    if codec.model.card.packing.uniform:  # a search by steps may lose some of its gain on images of another kind
        assert errors[1] > errors[2]


def check_classify(codec: Codec, images: Images) -> None:
    records = codec.encode(images, effort=0)
    scores = codec.classify(records)
    assert scores.shape == (len(images), len(codec.labels))
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert np.array_equal(codec.classify(records[3:4])[0], scores[3])
    suitability = codec.suitability(images, records)
    psnr = metrics.psnr_each(metrics.squared_error(images, codec.decode(records)))
    assert (suitability <= psnr).all()


def check_bad_input(codec: Codec, images: Images) -> None:
    for bad in (images[0, :-1], images.astype(np.float32), images[:, :-1]):
        with pytest.raises(BadImage, match="images must be uint8"):
            codec.encode(bad)
    with pytest.raises(ValueError, match="effort must be a whole number"):
        codec.encode(images, effort=10)
    if not codec.model.refines:
        with pytest.raises(BadModel, match="has no refiner"):
            codec.encode(images, effort=1)
    records = codec.encode(images, effort=0)
    records[7, 100] ^= 16
    with pytest.raises(DamagedRecord, match="record 7: damaged: bit 4 of byte 100"):
        codec.decode(records)
    with pytest.raises(NotARecord, match="199 bytes"):
        codec.decode(records[0].tobytes()[:-1])


def check_pickle(codec: Codec, images: Images) -> None:
    records = codec.encode(images, effort=0)
    again = pickle.loads(pickle.dumps(codec))
    assert np.array_equal(again.decode(records), codec.decode(records))
