"""Training of codecs for images of any shape, grey and in colour: the fit, the files, the refiner, and a run of the
command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import atlcodec
from atlcodec import engine, picture, training
from atlcodec.card import LARGEST_FILE, read_model
from atlcodec.codec import Codec
from atlcodec.errors import AtlcError, BadData
from atlcodec.latents import Packing
from atlcodec.sets.dataset import Dataset, Split
from atlcodec.shape import Shape
from atlcodec.training import export, publish, recipes, start
from atlcodec.training.augment import augment, random_affine, random_shift
from atlcodec.training.data import outlier_images
from atlcodec.training.grid import Patches, Unpatches
from atlcodec.training.halves import halved
from atlcodec.training.heads import encode, linear_path, train
from atlcodec.training.layout import pictures, planes
from atlcodec.training.loop import Phase
from atlcodec.training.networks import Networks
from atlcodec.training.resample import averages, enlarging, nearest
from atlcodec.training.settings import HeadSettings, Joint, Settings
from atlcodec.training.trainer import Trainer
from check_codec import check_codec
from kit import Cli

COLOUR = (29, 31, 3)
LARGE = (256, 256, 3)
SHAPES = [COLOUR, (32, 32, 3), (20, 36), (64, 48, 3), (8, 8)]
KINDS = ("disc", "bar")

Pixels = NDArray[np.uint8]


def things(shape: Shape, count: int) -> Dataset:
    """Discs and bars at random places, in random colours, before a slope."""
    rng = np.random.default_rng(sum(shape))
    labels = rng.integers(0, 2, count)
    height, width = shape[:2]
    images = np.empty((count, height, width, 3), np.float64)
    for image, label in zip(images, labels, strict=True):
        y, x = (np.arange(side)[:, None] / side - rng.uniform(0.3, 0.7) for side in (height, width))
        image[:] = rng.uniform(0, 90, 3) * (1 + y[:, :, None] * rng.uniform(-1, 1))
        image[(abs(x.T) < 0.15) & (abs(y) < 0.4) if label else y**2 + x.T**2 < 0.08] += rng.uniform(60, 160, 3)
    made = (images if len(shape) == 3 else images.mean(axis=3)).clip(0, 255).astype(np.uint8)
    return Dataset("things", Split(made, labels), None, KINDS)


def unlike_zero(nets: Networks) -> Networks:
    """Networks whose mixers do not begin as zero, which would hide mistakes."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in nets.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.003)
    return nets.eval()


@pytest.fixture(scope="module", params=[*SHAPES, LARGE], ids=str)
def fitted(request: pytest.FixtureRequest) -> tuple[Networks, Pixels]:
    images = things(request.param, 60).train.images
    return unlike_zero(Networks("pca", [2], start=start.fit(images))), images[:6]


@torch.no_grad()
def test_the_files_compute_what_the_networks_do(fitted: tuple[Networks, Pixels]) -> None:
    nets, images = fitted
    packing, files = nets.packing, export.files(nets, [])
    assert max(map(len, files.values())) < LARGEST_FILE / 3
    graph = engine.Graph(files["compressor.onnx"], engine.compressor(nets.shape, packing.shape), "c")
    latents = graph(images)
    exact = torch.minimum(nets.compressor(planes(torch.from_numpy(images))).clamp(min=0), nets.top).numpy()
    difference = np.abs(latents - exact)
    assert difference[:, : -packing.labels].max() < 0.1  # some weights have seven bits in the file
    assert difference[:, -packing.labels :].max() < 0.15
    levels = nets.quantise(torch.from_numpy(latents))
    decoded = engine.Graph(files["decompressor.onnx"], engine.decompressor(nets.shape), "d")(nets.pack(levels).numpy())
    assert decoded.shape == images.shape
    expected = pictures(nets.part("decompressor")(levels)).clamp(0, 255).numpy()
    assert np.abs(decoded - expected).max() <= 0.51
    again = Networks("pca", [2], start=start.blank(packing, nets.shape)).eval()
    again.compressor.load_state_dict(export.weights(files["compressor.onnx"], packing))
    again.part("decompressor").load_state_dict(export.weights(files["decompressor.onnx"], packing))
    again.part("classifier").load_state_dict(export.weights(files["classifier.onnx"], packing))
    assert export.files(again, []) == files


def test_the_refiner_gives_the_steps_of_the_latents(fitted: tuple[Networks, Pixels]) -> None:
    nets, images = fitted
    decompressor, packing = nets.part("decompressor"), nets.packing
    assert isinstance(decompressor, torch.nn.Sequential)
    latents = nets.quantise(nets.compressor(planes(torch.from_numpy(images)))).detach()
    difference = decompressor(latents).detach().clamp(0, 255) - planes(torch.from_numpy(images))
    some = torch.cat([torch.arange(20), torch.arange(packing.count - packing.labels - 5, packing.count)])
    path = decompressor[:-1]
    with torch.no_grad():
        moved = path(torch.eye(packing.count)[some]) - path(torch.zeros(1, packing.count))
        curvature = (moved**2).sum(dim=(1, 2, 3)).numpy()
    file = export.refiner(decompressor, packing, nets.shape)
    for name, network in (("step", decompressor), ("linear_step", path)):
        leaf = latents.clone().requires_grad_()
        network(leaf).backward(difference)
        assert leaf.grad is not None
        graph = engine.Graph(file, engine.refiner(nets.shape, packing.shape, (name,)), "r")
        found = graph.run(latents.numpy(), images)[0][:, some]
        slope = leaf.grad.numpy()[:, some]
        expected = np.where(curvature > 0, -slope / np.maximum(curvature, 1e-12), 0)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@torch.no_grad()
@pytest.mark.parametrize("shape", [(28, 28), COLOUR, (8, 8), (64, 48, 3)], ids=str)
def test_training_begins_at_the_quality_of_pca(shape: Shape) -> None:
    """Of few images, nearly all of each one's differences are kept; of a reduced one, what the reduction leaves."""
    images = things(shape, 40).train.images
    nets = Networks("pca", [2], start=start.fit(images)).eval()
    found = pictures(nets.part("decompressor")(nets.quantise(nets.compressor(planes(torch.from_numpy(images))))))
    error = ((found.clamp(0, 255).numpy() - images) ** 2).mean()
    assert error < images.var() / 30


def test_components_of_few_large_images_are_those_of_their_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    few = start.small(things((24, 20, 3), 30).train.images, np.arange(30))
    moves = [(0, 0), (0, 1), (1, 0)]
    mean, variances, components = start.principal(few, moves)
    assert components.shape == (1440, 89)
    np.testing.assert_allclose(components.T @ components, np.eye(89), atol=1e-4)
    monkeypatch.setattr(start, "SMALL", 4096)
    monkeypatch.setattr(start, "VALUES", 2 * few.size)  # in two parts
    same, others, directions = start.principal(few, moves)
    np.testing.assert_allclose(mean, same, atol=1e-3)
    np.testing.assert_allclose(variances[:40], others[:40], rtol=1e-2)
    assert (abs((components * directions[:, :89]).sum(axis=0))[:10] > 0.99).all()


@pytest.mark.parametrize(("side", "by"), [(64, 2), (48, 1), (29, 4), (256, 7), (8, 3)])
def test_a_slope_survives_the_reduction(side: int, by: int) -> None:
    slope = np.arange(side, dtype=np.float32)
    small = averages(side, by) @ slope
    assert len(small) == -(-side // by)
    inner = slice(by, side - 2 * by)
    np.testing.assert_allclose((enlarging(side, by) @ small)[inner], slope[inner], atol=1e-3)
    np.testing.assert_allclose(enlarging(side, by).sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(nearest(side, by) @ enlarging(side, by), np.eye(len(small)), atol=1e-5)


@pytest.mark.parametrize("shape", [*SHAPES, LARGE, (8, 256), (255, 9, 3)], ids=str)
def test_patches_cover_an_image_and_come_back(shape: Shape) -> None:
    grid = training.pca.patches(shape)
    images = torch.randint(0, 256, (3, *shape))
    found = grid(planes(images))
    assert found.shape == (grid.rows * grid.columns, 3, grid.channels * grid.size**2)
    assert grid.rows * grid.columns <= 64
    assert torch.equal(pictures(Unpatches(grid.size, shape)(found)), images)
    assert torch.equal(Patches(grid.size, shape)(planes(images)), found)


@pytest.mark.parametrize("shape", [COLOUR, (20, 36), (8, 8)], ids=str)
def test_changes_of_images_keep_their_shape(shape: Shape) -> None:
    images = torch.from_numpy(things(shape, 30).train.images)
    generator = torch.Generator().manual_seed(0)
    for changes in ("affine", "elastic+mirror"):
        changed = augment(images, changes, generator, share=1)
        assert changed.shape == images.shape
        assert changed.dtype == torch.uint8
        assert not torch.equal(changed, images)
    mirrored = augment(images, "mirror", generator, share=1)
    assert all(torch.equal(a, b) or torch.equal(a, b.flip(1)) for a, b in zip(mirrored, images, strict=True))
    blank = torch.zeros_like(images)
    blank[:, 3:5, 3:5] = 200
    assert torch.equal(random_shift(blank, 3, generator).sum(dim=(1, 2)), blank.sum(dim=(1, 2)))
    assert torch.equal(random_affine(images, 0, generator), images)


@pytest.mark.parametrize("shape", [COLOUR, (20, 36), (64, 48, 3), (8, 8)], ids=str)
def test_a_codec_of_it_is_one_like_all_others(shape: Shape, tmp_path: Path) -> None:
    data = things(shape, 60)
    settings = Settings(architecture="pca", batch_size=16, augment="elastic+mirror", learning_rate=1e-3)
    trainer = Trainer(settings, data, tmp_path / "run")
    recipes.run("joint", trainer, Joint(epochs=1, tune=0))
    publish.codecs(trainer, [data], tmp_path / "mine", "mine", {"recipe": {"architecture": "pca"}}, "kind")
    model = read_model(tmp_path / "mine")
    assert model.card.shape == shape
    check_codec(Codec(model), data.train.images[-12:])
    modules = training.load(model.folder)
    images = torch.from_numpy(data.train.images[:5])
    assert modules.decode(modules.encode(images)).shape == images.shape
    if shape != COLOUR:
        return
    with pytest.raises(BadData, match="conv classifier needs a codec of 28 x 28 grey images"):
        linear_path(model)
    head = HeadSettings(copies=1, epochs=2)
    examples = encode(data, model, head)
    assert len(examples) == 2 * 54
    assert publish.head(tmp_path / "head", train(examples, head, tmp_path / "run2"), examples, {"name": "again"}) > 0.4
    # labels anew, with a teacher in colour
    again = Trainer(settings, data, tmp_path / "labels", base=model, taught_by="small")
    again.train(Phase(("teacher",), "teacher"), 1)
    assert 0 <= again.measure("teacher") <= 1
    again.train(Phase(("labels", "classifier"), "classifier"), 1)
    files = export.files(again.nets, [])
    kept, wanted = (export.weights(each) for each in (halved(files["refiner.onnx"]), model.file("refiner")))
    assert all(torch.equal(kept[name], value) for name, value in wanted.items())  # those of the decompressor
    assert files["compressor.onnx"] != model.file("compressor")
    with pytest.raises(BadData, match=r"images of the shape \(20, 36\), not \(29, 31, 3\)"):
        Trainer(settings, things((20, 36), 40), tmp_path / "other", base=model)


def test_the_command_trains_in_colour(cli: Cli, tmp_path: Path) -> None:
    data = things((12, 14, 3), 40)
    assert data.train.labels is not None
    for number, (image, label) in enumerate(zip(data.train.images, data.train.labels, strict=True)):
        path = tmp_path / "set" / KINDS[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.png(image))
    (tmp_path / "grey" / "a").mkdir(parents=True)
    (tmp_path / "grey" / "b").mkdir()
    for label in "ab":
        (tmp_path / "grey" / label / "0.png").write_bytes(picture.png(np.zeros((28, 28), np.uint8)))
    quick = ["--recipe", "joint", "--epochs", "1", "--tune", "0", "--batch-size", "16"]
    begin: list[str | Path] = ["train", "--data", tmp_path / "set", "-o", tmp_path / "mine"]
    refused = cli(*begin, "--architecture", "lenet", *quick)
    assert refused.code == 1
    assert "taken as images of 14 x 12 pixels, in colour" in refused.err.splitlines()[0]
    assert refused.err.endswith("lenet takes 28 x 28 grey images only; use --architecture pca\n")
    refused = cli(*begin, "--shape", "12x14x3", "--unlabelled", tmp_path / "grey", *quick)
    assert "28 x 28 pixels, not 14 x 12" in refused.err.splitlines()[-1]
    done = cli(*begin, *quick)
    assert done.code == 0, done.err
    card = json.loads((tmp_path / "mine" / "card.json").read_text())
    assert card["shape"] == [12, 14, 3]
    assert card["figures"]["images"] == 4
    record = atlcodec.encode(data.train.images[0], model=tmp_path / "mine")
    assert atlcodec.decode(record, model=tmp_path / "mine").shape == (12, 14, 3)
    assert "PSNR" in cli("evaluate", tmp_path / "mine", "--data", tmp_path / "set").out.decode()


def test_other_shapes_than_those_of_the_data_are_refused(tmp_path: Path) -> None:
    settings, data = Settings(architecture="pca"), things(COLOUR, 40)
    other = things((20, 36), 40)
    with pytest.raises(BadData, match=r"unlabelled images: images of the shape \(20, 36\), not \(29, 31, 3\)"):
        Trainer(settings, data, tmp_path, unlabelled=other.train.images)
    with pytest.raises(BadData, match=r"outliers: images of the shape \(20, 36\), not \(29, 31, 3\)"):
        Trainer(settings, data, tmp_path, outliers=other.train.images)
    with pytest.raises(BadData, match="all images of a run must have the same"):
        Trainer(settings, [data, other], tmp_path)
    with pytest.raises(BadData, match="things: images of the shape"):
        outlier_images([data, other], 5)
    for architecture in ("lenet", "mixer"):
        with pytest.raises(AtlcError, match=f"{architecture} takes 28 x 28 grey images only"):
            Trainer(Settings(architecture=architecture), data, tmp_path)
    with pytest.raises(AtlcError, match="conv takes 28 x 28 grey images only"):
        Networks("conv", [2], ("classifier",), start.blank(Packing(), COLOUR))
