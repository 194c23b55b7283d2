"""The encoder in plain JavaScript: the compressor in floats, and the seal to the bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from atlcodec import metrics, record, zoo
from atlcodec.codec import Codec
from drawings import Pixels, sample
from web_kit import NODE, WEB, program

pytestmark = pytest.mark.skipif(shutil.which(NODE) is None, reason="there is no Node.js here")


def options(codec: Codec) -> str:
    """What `loadCompressor` needs to know of a codec."""
    packing = codec.model.card.packing
    known = {"id": f"{codec.id:08x}", "shape": codec.shape, "latents": packing.widths, "labels": packing.labels}
    return json.dumps({**known, "sha256": codec.model.card.digests["compressor.onnx"]})


def images(codec: Codec, digit: Pixels) -> Pixels:
    """A digit, noise, and the ends of the range."""
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (3, *codec.shape))
    return np.concatenate([sample(codec.shape, digit)[None], noise, 0 * noise[:1], 0 * noise[:1] + 255]).astype(
        np.uint8
    )


@pytest.mark.parametrize("model", [model.name for model in zoo.models().values() if model.bundled])
def test_a_record_is_as_good_as_that_of_python(model: str, tmp_path: Path, digit: Pixels) -> None:
    codec = Codec.load(model)
    given = images(codec, digit)
    size = given[0].size
    (tmp_path / "images").write_bytes(given.tobytes())
    out = program(
        tmp_path,
        f"""import {{ readFileSync, writeFileSync }} from "node:fs"; import {{ loadCompressor }} from "atlcodec";
        const path = {str(codec.model.folder / "compressor.onnx")!r};
        const [compressor, images] = [await loadCompressor(path, {options(codec)}), readFileSync("images")];
        const image = (at) => new Uint8Array(images.subarray({size} * at, {size} * (at + 1)));
        const each = Array.from({{ length: {len(given)} }}, (_, at) => image(at));
        writeFileSync("x.atlc", Buffer.concat(each.map((image) => compressor.encode(image))));
        console.log(JSON.stringify(each.map((image) => [...compressor.latents(image)])));""",
    )
    wanted = codec.latents(given).reshape(len(given), -1)
    assert np.allclose(np.clip(json.loads(out), 0, None), np.clip(wanted, 0, None), atol=0.05)
    records = np.fromfile(tmp_path / "x.atlc", np.uint8).reshape(-1, 200)
    assert (record.ids(records) == codec.id).all()
    mine, theirs = (
        metrics.psnr_each(metrics.squared_error(given, codec.decode(each)))
        for each in (records, codec.encode(given, effort=0))
    )
    assert (mine > theirs - 1).all(), (mine, theirs)
    assert abs(mine[0] - theirs[0]) < 0.5


@pytest.mark.parametrize("model", ["mnist-lenet", "mnist", "kmnist"])
def test_latents_are_sealed_to_the_same_record(model: str, tmp_path: Path) -> None:
    codec = Codec.load(model)
    packing = codec.model.card.packing
    rng = np.random.default_rng(9)
    latents = (rng.random((50, packing.count)) * packing.top).astype(np.float32)
    latents[:5] = np.rint(latents[:5])  # equal costs
    latents[5], latents[6] = 0, packing.top
    latents.tofile(tmp_path / "latents")
    program(
        tmp_path,
        f"""import {{ readFileSync, writeFileSync }} from "node:fs";
        import {{ sealed }} from {json.dumps((WEB / "src/seal.js").as_uri())};
        const bytes = readFileSync("latents");
        const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
        const [count, widths] = [{packing.count}, {json.dumps(packing.widths)}];
        writeFileSync("x.atlc", Buffer.concat(Array.from({{ length: 50 }}, (_, at) =>
            sealed(all.subarray(at * count, (at + 1) * count), widths, {packing.labels}, 0x{codec.id:08x}))));""",
    )
    wanted = record.pack(record.seal(*packing.nearest(latents.reshape(-1, *packing.shape)), codec.id))
    assert np.array_equal(np.fromfile(tmp_path / "x.atlc", np.uint8).reshape(-1, 200), wanted)


def test_other_images_and_files_are_refused(tmp_path: Path) -> None:
    codec = Codec.load("mnist-lenet")
    out = program(
        tmp_path,
        f"""import {{ loadCompressor }} from "atlcodec";
        const folder = {str(codec.model.folder)!r};
        const say = (call) => call().then(String, (error) => `${{error.constructor.name}} ${{error.message}}`);
        const compressor = await loadCompressor(`${{folder}}/compressor.onnx`, {options(codec)});
        console.log(await say(async () => compressor.encode(new Uint8Array(100))));
        console.log(await say(() => loadCompressor(`${{folder}}/refiner.onnx`, {{ id: "0", shape: [28, 28] }})));""",
    ).splitlines()
    assert out[0] == "BadRecord an image of this codec is a Uint8Array of 28 x 28"
    assert out[1].startswith("BadModel ")
