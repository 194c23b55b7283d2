"""Exact networks: PyTorch, NumPy and ONNX Runtime in all its ways give the same bits; and tuning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from unit_graphs import extremes, unit_graph

from atlcodec import bounds, exact, graph
from atlcodec.errors import BadData, BadModel
from atlcodec.latents import UNIFORM
from atlcodec.record import BOTTLENECK
from atlcodec.shape import Shape
from atlcodec.training import calibrate, conv, lenet, onnx_exact, pca, tuning
from atlcodec.training.exact import PICTURE, ExactDecompressor, ExactHead, Form, unpatched
from atlcodec.training.exact_conv import ExactConvHead
from atlcodec.training.exact_lenet import ExactLenet
from atlcodec.training.exact_path import FINE, SHARES, ExactEnlarging, shares
from atlcodec.training.grid import Patches
from atlcodec.training.quantise import MOST, SUM, integers
from atlcodec.training.resample import Resample, enlarging
from atlcodec.training.start import Start
from exact_kit import (
    HIGH,
    PACKING,
    every_way,
    latents,
    random_decompressor,
    random_network,
    random_records,
    random_start,
)


def made_head(start: Start, dense: bool) -> ExactHead:
    build = pca.dense_classifier if dense else pca.classifier
    head = ExactHead(random_network(lambda each: build(each, 11), start), PACKING)
    calibrate.head(head, latents(random_records()))
    return head


@pytest.mark.parametrize("form", [Form(), HIGH], ids=["both parts", "high part"])
@pytest.mark.parametrize("shape", [(28, 28), (10, 13, 3), (70, 66)], ids=str)
def test_a_decompressor_gives_the_same_bits_everywhere(shape: Shape, form: Form) -> None:
    network, records = random_decompressor(shape, form), random_records()
    file = onnx_exact.decompressor(network)
    graph.check(file, "decompressor.onnx")
    wanted = exact.Network(file, "decompressor.onnx")(records)
    with torch.no_grad():
        pixels = network(latents(records)).permute(0, 2, 3, 1).numpy().reshape(wanted.shape)
    assert np.array_equal(wanted, pixels)
    assert wanted.std() > 20
    for way, found in every_way(file, records):
        assert np.array_equal(found, wanted[: len(found)]), way


@pytest.mark.parametrize("dense", [False, True], ids=["latents for labels", "all latents"])
def test_a_head_gives_the_same_bits_everywhere(dense: bool) -> None:
    network, records = made_head(random_start((28, 28)), dense), random_records()
    file = onnx_exact.classifier(network)
    wanted = exact.Network(file, "classifier.onnx")(records)
    with torch.no_grad():
        assert np.array_equal(wanted, network(latents(records)).numpy())
    assert len(np.unique(wanted.argmax(axis=1))) > 2
    for way, found in every_way(file, records):
        assert np.array_equal(found, wanted[: len(found)]), way


def test_the_networks_of_table_1_give_the_same_bits_everywhere() -> None:
    records = random_records()
    symbols = torch.from_numpy(UNIFORM.read(records).astype(np.float32)).view(-1, *BOTTLENECK)
    floats = random_network(lambda _: lenet.decompressor(), random_start((28, 28)))
    with torch.no_grad():
        floats.get_parameter("5.bias").add_(0.5)  # grey, so that few pixels are clipped
    network = ExactLenet(floats)
    network.calibrate(symbols)
    head = ExactHead(random_network(lambda _: lenet.classifier(11), random_start((28, 28))), UNIFORM)
    calibrate.head(head, symbols)
    decoder, classifier = onnx_exact.lenet(network), onnx_exact.classifier(head)
    with torch.no_grad():
        wanted = network(symbols)[:, 0].numpy(), head(symbols).numpy()
    assert wanted[0].std() > 10
    for file, bits in zip((decoder, classifier), wanted, strict=True):
        graph.check(file, "table-1.onnx")
        assert np.array_equal(exact.Network(file, "table-1.onnx")(records), bits)
        for way, found in every_way(file, records):
            assert np.array_equal(found, bits[: len(found)]), way


def test_an_accurate_head_gives_the_same_bits_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, narrow in (("WIDE", 8), ("NARROW", 12), ("FEATURES", 16)):
        monkeypatch.setattr(conv, name, narrow)
    network = random_network(lambda each: conv.classifier(each, 11), random_start((28, 28))).eval()
    records = random_records()
    some = latents(records)
    head = ExactConvHead(network, PACKING, (28, 28))
    head.calibrate(some, calibrate.LOGIT)
    file = onnx_exact.conv_classifier(head)
    graph.check(file, "classifier.onnx")
    with torch.no_grad():
        wanted, floats = head(some).numpy(), network(some).numpy()
    assert (wanted.argmax(axis=1) == floats.argmax(axis=1)).mean() > 0.8
    assert np.array_equal(exact.Network(file, "classifier.onnx")(records), wanted)
    for way, found in every_way(file, records):
        assert np.array_equal(found, wanted[: len(found)]), way


def test_an_exact_network_is_close_to_the_one_in_floats() -> None:
    start, some = random_start((28, 28)), latents(random_records())
    network = random_network(pca.decompressor, start)
    rounded = ExactDecompressor(network, PACKING, Form())
    calibrate.decompressor(rounded, some)
    head = random_network(lambda each: pca.dense_classifier(each, 11), start)
    exact_head = ExactHead(head, PACKING)
    calibrate.head(exact_head, some)
    with torch.no_grad():
        picture = rounded.picture(some).view(len(some), -1)
        inside = (picture > rounded.form.picture.limits[0]) & (picture < rounded.form.picture.limits[1])
        assert inside.float().mean() > 0.9
        wanted = network(some).clamp(0, 255)
        assert calibrate.psnr(rounded(some), wanted) > 25
        assert (exact_head(some) * exact_head.step - head.eval()(some)).abs().max() < 0.2 * head(some).abs().max()


def test_a_reduced_picture_is_enlarged_as_in_floats() -> None:
    shape, by = (70, 66), 3
    layer, grid = Resample(enlarging(70, by), enlarging(66, by)), Patches(16, shape)
    torch.manual_seed(0)
    picture = (torch.rand(5, 1, 24, 22) * 255 * FINE).round()
    wanted = layer(picture)
    found = unpatched(ExactEnlarging(layer, grid, PICTURE)(picture.flatten(1)).view(5, 25, 256).transpose(0, 1), grid)
    assert (found - wanted).abs().max() < 0.02 * 255 * FINE
    assert (found - wanted).abs().mean() < 0.005 * 255 * FINE
    assert torch.equal(shares(layer.rows, 70).sum(1), torch.full((70,), float(SHARES)))


@pytest.mark.parametrize("relu", [False, True], ids=["sums", "bytes"])
@pytest.mark.parametrize("kind", ["gemm", "matmul", "conv"])
@pytest.mark.parametrize(("most", "unsigned"), [(127, False), (255, True)], ids=["int8", "uint8"])
def test_a_product_of_extremes_gives_the_same_bits_everywhere(kind: str, most: int, unsigned: bool, relu: bool) -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice([-127, 127], (24, 18 if kind == "conv" else 60))
    signs[0], signs[1] = 127, -127
    for m, unit in ((15, 2.0**-13), (1, 2.0**-9)):
        file = unit_graph(kind, signs, most, unsigned=unsigned, scale=m * unit, relu=relu)
        rows = extremes(rng, 200 if kind == "conv" else 60, np.resize(signs, (24, 200)) if kind == "conv" else signs)
        row = rows.shape[1:]
        cost = bounds.check(file, "unit.onnx", row)
        wanted = exact.Network(file, "unit.onnx")(rows)
        if kind != "conv" and not relu:
            assert np.abs(wanted).max() > 0.9 * cost.sum * unit
        for way, found in every_way(file, rows):
            assert np.array_equal(found, wanted[: len(found)]), way


def test_weights_on_the_left_give_the_same_bits_everywhere() -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice([-127, 127], (24, 50))
    file = unit_graph("left", signs, 127, unsigned=True, scale=13 * 2.0**-11, relu=False)
    rows = extremes(rng, 200, np.repeat(signs, 4, axis=1))
    assert bounds.check(file, "unit.onnx", (200,)).pair <= bounds.PAIR
    wanted = exact.Network(file, "unit.onnx")(rows)
    for way, found in every_way(file, rows):
        assert np.array_equal(found, wanted[: len(found)]), way


def test_numpy_is_right_about_a_product() -> None:
    """Beside a plain sum of whole numbers."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (5, 60))
    file = unit_graph("gemm", weights, 255, unsigned=True, scale=7 * 2.0**-10, relu=False)
    rows = rng.integers(0, 256, (9, 60)).astype(np.uint8)
    sums = (rows.astype(np.int64) - 128) @ weights.T + np.arange(5) * 1001 - 5005
    assert np.array_equal(exact.Network(file, "unit.onnx")(rows), sums * 7 / 1024)


@pytest.mark.parametrize("tie", [0.5, 1.5, 2.5, -0.5, -1.5])
def test_halves_are_rounded_to_even(tie: float) -> None:
    places = 5
    found = exact.Numbers(np.array([int(tie * 2**places)]), places).rounded(0)
    assert found.tolist() == [round(tie)]


# -- rounding of weights, and tuning -----------------------------------------------------------------------------------


def test_scales_of_weights_keep_the_rules() -> None:
    torch.manual_seed(0)
    weight = torch.randn(200, 96) * torch.logspace(-3, 3, 200)[:, None]
    weight[7] = 0
    reach = torch.full((96,), 127.0)
    whole, bias, m, k = integers(weight, torch.randn(200), reach)
    assert whole.abs().max() == MOST
    assert set(m.tolist()) <= {1, 3, 5, 7, 9, 11, 13, 15}
    assert (((whole.abs() @ reach) + bias.abs()) * m < SUM).all()
    kept = weight.abs().amax(1) > weight.abs().max() * 2.0**-12
    scale = torch.ldexp(m, -k)
    assert ((whole * scale[:, None] - weight).abs()[kept] <= scale[kept, None] / 2 * 1.001).all()
    assert (whole.abs().amax(1)[kept] >= 63).all()


def test_tuning_helps_and_resumes(tmp_path: Path) -> None:
    some = latents(random_records(160))
    with torch.no_grad():
        wanted = random_decompressor((12, 12), HIGH)(some).to(torch.uint8)[:, 0]

    def run(folder: Path, epochs: int, interrupt: bool) -> tuple[list[float], ExactDecompressor]:
        network = random_decompressor((12, 12), HIGH)
        torch.manual_seed(0)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.02)
        loss = tuning.decompressor_loss(network, some.to(torch.uint8), wanted)
        settings, said = tuning.Tuning(epochs=epochs, batch_size=32, learning_rate=2e-3), list[str]()

        def log(text: str) -> None:
            said.append(text)
            if interrupt and len(said) == 4:
                raise KeyboardInterrupt

        return tuning.tune(network, loss, 160, lambda: float(loss(torch.arange(160))), settings, folder, log), network

    errors, network = run(tmp_path / "a", 6, interrupt=False)
    assert errors[-1] < errors[0] / 2
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", 6, interrupt=True)
    again, same = run(tmp_path / "b", 6, interrupt=False)
    assert again == errors
    assert tuning.fingerprint(same) == tuning.fingerprint(network)
    with pytest.raises(BadData, match="other settings"):
        run(tmp_path / "b", 7, interrupt=False)


def test_a_head_learns_labels_behind_its_rounding(tmp_path: Path) -> None:
    some = latents(random_records())
    labels = some[:, -1].long()  # 0..3
    head = made_head(random_start((28, 28)), dense=False)
    loss = tuning.head_loss(head, some.to(torch.uint8), labels)

    def accuracy() -> float:
        return float((head(some).argmax(dim=1) == labels).float().mean())

    settings = tuning.Tuning(epochs=12, batch_size=32, learning_rate=5e-3)
    measured = tuning.tune(head, loss, len(labels), accuracy, settings, tmp_path)
    assert measured[0] < 0.4
    assert measured[-1] > 0.9


def test_other_architectures_are_refused() -> None:
    with pytest.raises(BadModel, match="pca"):
        ExactDecompressor(lenet.decompressor(), PACKING, Form())
    with pytest.raises(BadModel, match="lenet"):
        ExactLenet(pca.decompressor(random_start((28, 28))))
    with pytest.raises(BadModel, match="conv"):
        ExactConvHead(pca.classifier(random_start((28, 28)), 11), PACKING, (28, 28))
    with pytest.raises(BadModel, match="dense layers"):
        ExactHead(conv.classifier(random_start((28, 28)), 11), PACKING)
