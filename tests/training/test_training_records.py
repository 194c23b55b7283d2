"""A codec's networks as PyTorch modules, and its records as a data set."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

import atlcodec
from atlcodec import arrow, record, training, zoo
from atlcodec.card import Model
from atlcodec.card_writer import update_card
from atlcodec.codec import Codec
from atlcodec.errors import BadData, BadModel, DamagedRecord, NotARecord, UnknownModel
from atlcodec.sets import manifest, parquet
from atlcodec.shape import Shape
from atlcodec.training.layout import planes
from atlcodec.training.records import UNKNOWN, RecordDataset, Yields
from drawings import Pixels, sample
from shape_kit import pictures, write_codec


@pytest.fixture(scope="module")
def sevens(draw: Callable[[float], Pixels]) -> Pixels:
    return np.stack([draw(slant) for slant in np.linspace(-5, 5, 30)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, sevens: Pixels) -> Path:
    """set.atlc of 30 records, and its list: labels 2, 10 and none."""
    root = tmp_path_factory.mktemp("sets")
    atlcodec.write(root / "set.atlc", Codec.load("mnist-lenet").encode(sevens))
    labels = ["10", "2", None]
    manifest.write(root / "set.csv", [manifest.Entry(k, f"{k}.png", labels[k % 3]) for k in range(30)])
    return root


# -- the networks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [model.name for model in zoo.installed() if isinstance(model, Model) and model.bundled]
)
def test_the_modules_agree_with_the_onnx_files(name: str, sevens: Pixels) -> None:
    codec, modules = Codec.load(name), training.load(name)
    assert modules.classifier is not None
    sevens = np.stack([sample(codec.shape, each) for each in sevens])
    assert modules.labels == codec.labels
    with torch.no_grad():
        latents = modules.compressor(planes(torch.from_numpy(sevens)))
        latents = torch.minimum(latents.clamp(min=0), modules.top)
        uniform = codec.model.card.packing.uniform
        assert np.abs(latents.numpy() - codec.latents(sevens)).max() <= (1e-3 if uniform else 1e-2)  # 0..15 or 0..255
        records = codec.encode(sevens, effort=0)
        levels = codec.model.card.packing.read(records)
        symbols = torch.from_numpy(levels).float()
        # The files are exact networks, whose rounding the modules do not have.
        difference = np.abs(modules.decode(symbols).numpy() - codec.decode(records).astype(float))
        assert difference.mean() < 1.5
        assert difference.max() < 32
        logits = codec._classifier(records) * codec.head.card.scale
        assert np.abs(modules.classifier(symbols).numpy() - logits).max() <= 0.3
        assert np.mean(modules.encode(torch.from_numpy(sevens)).numpy() != levels) < 0.06  # the seal moves some
    assert not modules.training


def test_gradients_reach_the_compressor_through_the_rounding(sevens: Pixels) -> None:
    modules = training.load("mnist-lenet")
    images = torch.from_numpy(sevens)
    (modules.decode(modules.encode(images)) - images).square().mean().backward()  # type: ignore[no-untyped-call]
    gradients = [parameter.grad for parameter in modules.compressor.parameters()]
    assert all(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)


def test_a_users_model_is_loaded_by_path_and_wrong_cards_are_refused(own_model: Path, mine: Path) -> None:
    assert training.load(own_model, "letters").labels == ("a", "b", "c")
    update_card(mine, {"recipe": {"architecture": "cathedral"}})
    with pytest.raises(BadModel, match="unknown architecture 'cathedral'"):
        training.load(mine)
    update_card(mine, {"recipe": {"architecture": "mixer"}})
    with pytest.raises(BadModel, match="its weights do not fit the architecture 'mixer'"):
        training.load(mine)
    with pytest.raises(UnknownModel):
        training.load("nobody")


# -- the data set ------------------------------------------------------------------------------------------------------


def test_items_are_records_latents_or_images_with_labels(folder: Path) -> None:
    codec, records = Codec.load("mnist-lenet"), atlcodec.open(folder / "set.atlc").array
    expected: dict[Yields, Pixels] = {
        "records": records,
        "latents": record.unpack(records),
        "images": codec.decode(records),
    }
    for yields, rows in expected.items():
        data = RecordDataset(folder / "set.atlc", folder / "set.csv", yields)
        assert len(data) == 30
        assert data.classes == ("2", "10")
        item, label = data[4]
        assert (item.numpy() == rows[4]).all()
        assert label == 0
        batch, labels = data[[3, -1, 2]]
        assert (batch.numpy() == rows[[3, -1, 2]]).all()
        assert labels.tolist() == [1, UNKNOWN, UNKNOWN]
        assert item.dtype == (torch.float32 if yields == "latents" else torch.uint8)
    bare = RecordDataset(folder / "set.atlc")
    assert torch.equal(bare[7], torch.from_numpy(records[7].copy()))
    assert len(list(iter(bare))) == 30  # ends by an IndexError
    assert RecordDataset(folder / "set.atlc", labels=np.arange(30))[9][1] == 9


@pytest.mark.parametrize("workers", [0, 1])
def test_a_dataloader_gives_all_of_it_also_from_its_own_process(
    workers: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    data = RecordDataset("set.atlc", "set.csv", "images")
    _ = data[0]  # opened here already: that must not travel
    assert len(pickle.dumps(data)) < 10_000
    loader: DataLoader[Any] = DataLoader(
        data, 8, num_workers=workers, multiprocessing_context="spawn" if workers else None
    )
    images, labels = (torch.cat(parts) for parts in zip(*loader, strict=True))
    everything = data[range(30)]
    assert torch.equal(images, everything[0])
    assert torch.equal(labels, everything[1])


@pytest.mark.parametrize("shape", [(29, 31, 3), (40, 24)])
def test_records_of_another_shape_and_in_colour(shape: Shape, tmp_path: Path) -> None:
    codec = Codec.load(str(write_codec(tmp_path / "other", shape)))
    originals = pictures(shape, 20)
    (tmp_path / "set.atlc").write_bytes(codec.encode(originals).tobytes())
    kinds: tuple[Yields, ...] = ("records", "latents", "images")
    data = {
        kind: RecordDataset(tmp_path / "set.atlc", np.arange(20) % 3, kind, model=tmp_path / "other") for kind in kinds
    }
    images, labels = data["images"][range(3, 9)]
    assert (images.dtype, tuple(images.shape), labels.tolist()) == (torch.uint8, (6, *shape), [0, 1, 2, 0, 1, 2])
    assert np.array_equal(images.numpy(), codec.decode(codec.encode(originals))[3:9])
    loader: DataLoader[Any] = DataLoader(data["images"], 8)
    assert [tuple(batch.shape) for batch, _ in loader] == [(8, *shape), (8, *shape), (4, *shape)]
    latents, label = data["latents"][7]
    assert (tuple(latents.shape), label) == ((16, 5, 5), 1)
    assert np.array_equal(data["records"][7][0].numpy(), codec.encode(originals)[7])


def test_whole_batches_may_be_asked_for(folder: Path) -> None:
    data = RecordDataset(folder / "set.atlc", folder / "set.csv")
    loader: DataLoader[Any] = DataLoader(
        data, batch_size=None, sampler=BatchSampler(SequentialSampler(data), 12, drop_last=False)
    )
    assert [tuple(records.shape) for records, _ in loader] == [(12, 200), (12, 200), (6, 200)]


def test_the_error_says_what_is_wrong_with_a_file(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "set.atlc").read_bytes()
    damaged = bytearray(whole)
    damaged[17 * 200] ^= 1
    (tmp_path / "damaged.atlc").write_bytes(damaged)
    data = RecordDataset(tmp_path / "damaged.atlc")
    assert data[[16, 18]].shape == (2, 200)
    with pytest.raises(DamagedRecord, match=r"damaged\.atlc: record 17: damaged"):
        data[[18, 17]]

    (tmp_path / "torn.atlc").write_bytes(whole[:-1])
    with pytest.raises(NotARecord, match=r"cut off \(199 of 200 bytes\)"):
        RecordDataset(tmp_path / "torn.atlc")
    (tmp_path / "empty.atlc").touch()
    with pytest.raises(NotARecord, match="no records"):
        RecordDataset(tmp_path / "empty.atlc")
    parquet.write(tmp_path / "set.parquet", [arrow.batch(whole)])
    with pytest.raises(NotARecord, match=r"is a Parquet file; use atlcodec\.sets\.open"):
        RecordDataset(tmp_path / "set.parquet")
    (tmp_path / "noise.atlc").write_bytes(np.random.default_rng(0).bytes(400))
    with pytest.raises(UnknownModel, match="record 0: no installed codec"):
        RecordDataset(tmp_path / "noise.atlc")
    with pytest.raises(BadData, match="30 records need as many integers"):
        RecordDataset(folder / "set.atlc", labels=[1, 2])
    (tmp_path / "set.csv").write_text("record,path,label\n0,0.png,7\n")
    with pytest.raises(BadData, match="holds 1 labels"):
        RecordDataset(folder / "set.atlc", labels=tmp_path / "set.csv")
    with pytest.raises(IndexError):
        RecordDataset(folder / "set.atlc")[30]
