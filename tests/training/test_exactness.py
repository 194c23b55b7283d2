"""The program that compares exact networks everywhere: its records are extreme, and it sees wrong bits."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import backends
import exactness
import extremes
import numpy as np
import pytest
import torch
import unit_graphs
from backends import BackEnd
from exactness import Job

from atlcodec import exact, nodes
from atlcodec.training import onnx_exact
from exact_kit import HIGH, random_decompressor, random_records

HERE = BackEnd("here", "native", lambda: [sys.executable, backends.WORKER])
EMULATED = BackEnd("Haswell", "emulated", lambda: [*backends.emulated("Haswell"), backends.WORKER])


@pytest.fixture(scope="module")
def file() -> bytes:
    return onnx_exact.decompressor(random_decompressor((12, 12), HIGH))


def product_job(unsigned: bool) -> Job:
    """A product of operands of 8 bits."""
    file, records = unit_graphs.wrong_product()
    if unsigned:
        right = "gemm, uint8 weights, bytes"
        file, records = next((file, rows) for name, file, rows in unit_graphs.all_products() if name == right)
    return Job("unit", file, records[:120], exact.Network(file, "unit")(records[:120]), 0)


def test_the_search_computes_the_network(file: bytes) -> None:
    graph, records = nodes.read(file, "d"), random_records(20)
    with torch.no_grad():
        found = extremes._run(graph, extremes._bits(records), graph.targets[0]).numpy()
    assert np.array_equal(found, exact.Network(file, "d")(records))


def test_the_sums_of_the_first_layer_reach_their_limits() -> None:
    """Those that the signs of the weights give; a row of the graph has a byte for each weight."""
    signs = np.random.default_rng(1).integers(-127, 128, (9, 200))
    file = unit_graphs.unit_graph("gemm", signs, 255, unsigned=True, scale=1.0, relu=False)
    records = extremes.records(file, "unit")
    sums = exact.Network(file, "unit")(records)
    biases = np.arange(9) * 1001 - 5005
    high = np.maximum(signs * 127, signs * -128).sum(axis=1) + biases
    low = np.minimum(signs * 127, signs * -128).sum(axis=1) + biases
    assert len(sums) == 2 * extremes.SUMS
    assert (sums[0::2] == high).any(axis=1).all()
    assert (sums[1::2] == low).any(axis=1).all()


def test_sums_of_later_layers_are_larger_than_those_of_random_records(file: bytes) -> None:
    graph, found = nodes.read(file, "d"), extremes.records(file, "d", 200)
    others = np.random.default_rng(7).integers(0, 256, (300, 200)).astype(np.uint8)
    products = [node.output for node in graph.nodes if node.operator in extremes.PRODUCTS]
    assert len(found) == 2 * extremes.SUMS * len(products)
    larger = 0
    for name, own in zip(products, np.split(found, len(products)), strict=True):
        with torch.no_grad():
            mine, random = (
                extremes._run(graph, extremes._bits(each), name).reshape(len(each), -1) for each in (own, others)
            )
        place = random.abs().amax(0).argmax()
        larger += bool(mine.abs().max() > random[:, place].abs().max())
    assert larger >= 0.8 * len(products)


def test_what_differs_is_counted(file: bytes) -> None:
    records = random_records(300)
    wanted = exact.Network(file, "d")(records)
    job = Job("d", file, records, wanted, 0)
    assert exactness.measured(HERE, HERE.command(), job, 10)["differ"] == 0
    wrong = wanted.copy()
    wrong[299, 3, 4] ^= 1
    said = exactness.measured(HERE, HERE.command(), replace(job, wanted=wrong), 10)
    assert said["differ"] == 1
    assert said["compared"] > 10 * wanted.size


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js here")
def test_what_differs_in_javascript_is_counted(file: bytes) -> None:
    place = next(each for each in backends.all_of_them() if each.name == "plain JavaScript")
    records = random_records(40)
    wanted = exact.Network(file, "d")(records)
    assert exactness.measured(place, place.command(), Job("d", file, records, wanted, 0), 40)["differ"] == 0
    wrong = wanted.copy()
    wrong[39, 3, 4] ^= 1
    assert exactness.measured(place, place.command(), Job("d", file, records, wrong, 0), 40)["differ"] == 1


@pytest.mark.skipif(shutil.which("qemu-x86_64") is None, reason="there is no qemu-x86_64 here; install qemu-user")
def test_saturation_is_seen_on_a_processor_that_saturates() -> None:
    """Products of int8 weights and operands of 8 bits, which `bounds.py` refuses, are wrong there; those of uint8
    weights are not."""
    assert exactness.measured(EMULATED, EMULATED.command(), product_job(unsigned=False), 120)["differ"] > 100
    assert exactness.measured(EMULATED, EMULATED.command(), product_job(unsigned=True), 120)["differ"] == 0


def test_a_place_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(backends.Missing, match="there is no qemu-x86_64 here; install qemu-user"):
        backends.emulated("Haswell")
