"""What programs and pages call of the decoder in plain JavaScript, in Node.js and in a browser."""

from __future__ import annotations

import base64
import functools
import hashlib
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from atlcodec import exact, metrics
from kit import ROOT
from web_kit import NODE, RECORDS, WEB, exact_file, node, program, seal

pytestmark = pytest.mark.skipif(shutil.which(NODE) is None, reason="there is no Node.js here")
CHROMIUM = shutil.which("chromium")

MODULES = [*sorted(WEB.rglob("*.js")), *sorted(WEB.rglob("*.mjs"))]
SCRIPTS = [path for path in sorted((ROOT / "atlcodec/show/page").glob("*.js")) if path.name != "decoder.js"]
DECODER, HEAD = "mnist-lenet", "mnist/digits"
SAY = "const say = (call) => call().then(String, (error) => `${error.constructor.name} ${error.message}`);"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both files, and five records that are sealed."""
    (tmp_path / "d.onnx").write_bytes(exact_file(DECODER))
    (tmp_path / "c.onnx").write_bytes(exact_file(HEAD))
    (tmp_path / "x.atlc").write_bytes(seal(RECORDS[:5], exact_file(DECODER)).tobytes())
    return tmp_path


def test_the_files_are_short_and_valid() -> None:
    assert len(MODULES) > 10
    for path in [*MODULES, *SCRIPTS]:
        lines = path.read_text("utf-8").splitlines()
        assert len(lines) <= 300, path
        assert max(map(len, lines)) <= 120, path
        assert node("--check", path).returncode == 0, path
    package = json.loads((WEB / "package.json").read_text("utf-8"))
    assert "dependencies" not in package
    assert all((WEB / name).exists() for name in package["files"] if name != "dist")


def test_the_types_are_those_of_what_is_exported(folder: Path) -> None:
    declared = re.findall(r"^export (?:class|function) (\w+)", (WEB / "index.d.ts").read_text("utf-8"), re.M)
    out = program(folder, 'import * as all from "atlcodec"; console.log(Object.keys(all).join(" "));')
    assert out.split() == sorted(declared)
    out = program(
        folder,
        'import { load } from "atlcodec"; const one = await load("d.onnx"); const two = await load("c.onnx");'
        "console.log(...Object.keys(one), ...Object.keys(two), ...Object.keys(two.classify(new Uint8Array(200))))",
    )
    typed = re.findall(r"^ +(?:readonly )?(\w+)\??:", (WEB / "index.d.ts").read_text("utf-8"), re.M)
    assert {*out.split()} <= {*typed}


def test_a_file_is_what_its_card_says(folder: Path) -> None:
    digest = hashlib.sha256(exact_file(DECODER)).hexdigest()
    out = program(
        folder,
        f"""import {{ readFileSync }} from "node:fs"; import {{ load }} from "atlcodec"; {SAY}
        for (const sha256 of ["{digest.upper()}", "{"0" * 64}"])
            console.log(await say(async () => (await load("d.onnx", {{ sha256 }})).id));
        const bytes = readFileSync("d.onnx"); bytes[9000] ^= 1;
        console.log(await say(() => load(bytes, {{ sha256: "{digest}", name: "a.onnx" }})));
        console.log((await load(new URL("d.onnx", import.meta.url))).sha256);""",
    ).splitlines()
    assert out[0] == digest[:8]
    assert out[1] == f"BadModel d.onnx: has the SHA-256 {digest}, not {'0' * 64}; fetch it again"
    assert re.fullmatch(rf"BadModel a\.onnx: has the SHA-256 \w{{64}}, not {digest}; fetch it again", out[2])
    assert out[3] == digest


def test_the_own_sha256_is_that_of_others(tmp_path: Path) -> None:
    """Pages from the disk may have no other."""
    sizes = [*range(0, 130), 4095, 100_000]
    module = (WEB / "src/hashes.js").as_uri()
    out = program(
        tmp_path,
        f"""import {{ plainSha256, sha256 }} from "{module}";
        for (const size of {sizes}) {{
            const bytes = Uint8Array.from({{ length: size }}, (_, at) => (at * at) % 251);
            console.log(plainSha256(bytes), await sha256(bytes));
        }}""",
    )
    wanted = [hashlib.sha256(bytes(at * at % 251 for at in range(size))).hexdigest() for size in sizes]
    assert out.split() == [each for digest in wanted for each in (digest, digest)]


def test_seals_are_checked(folder: Path) -> None:
    id = hashlib.sha256(exact_file(DECODER)).hexdigest()[:8]
    records = np.fromfile(folder / "x.atlc", np.uint8).reshape(-1, 200)
    records[3, 7] ^= 4
    (folder / "damaged").write_bytes(records.tobytes())
    out = program(
        folder,
        f"""import {{ readFileSync }} from "node:fs"; import {{ check, load }} from "atlcodec"; {SAY}
        const decoder = await load("d.onnx"), classifier = await load("c.onnx", {{ id: "{id}" }});
        const [whole, damaged] = ["x.atlc", "damaged"].map((name) => readFileSync(name));
        console.log(check(whole.subarray(0, 200)), check(damaged.subarray(600, 800)));
        console.log(decoder.decode(whole).length, decoder.decode(new Uint8Array(0)).length);
        for (const call of [() => decoder.decode(damaged), () => classifier.classify(damaged),
            () => decoder.decode(whole.subarray(1)), () => decoder.decode("text"), () => check(whole),
            () => decoder.classify(whole), () => classifier.decode(whole),
            () => decoder.decode(damaged, {{ sealed: false }}).length])
            console.log(await say(async () => call()));""",
    ).splitlines()
    crc = f"{zlib.crc32(records[3].tobytes()):08x}"
    assert out[:2] == [f"{id} {crc}", f"{5 * 784} 0"]
    assert out[2:4] == [f"BadRecord record 3: damaged, or of another codec (id {crc})"] * 2
    assert out[4:7] == [
        "BadRecord records have 200 bytes each, and 999 is not a multiple of it",
        "BadRecord records must be a Uint8Array",
        "BadRecord a record has 200 bytes, not 1000",
    ]
    assert out[7:9] == [
        "BadModel d.onnx: is a decompressor; classify with a classifier",
        "BadModel c.onnx: is a classifier; decode with a decompressor",
    ]
    assert out[9] == str(5 * 784)


def test_labels_and_probabilities(folder: Path) -> None:
    out = program(
        folder,
        """import { readFileSync } from "node:fs"; import { load } from "atlcodec";
        const { labels, logits, probabilities } = (await load("c.onnx")).classify(readFileSync("x.atlc"));
        console.log(JSON.stringify({ labels, logits: [...logits], probabilities: [...probabilities] }));""",
    )
    said = json.loads(out)
    logits = exact.Network(exact_file(HEAD), HEAD)(np.fromfile(folder / "x.atlc", np.uint8).reshape(-1, 200))
    assert np.array_equal(np.reshape(said["logits"], (5, 10)), logits)
    assert said["labels"] == [str(best) for best in logits.argmax(axis=1)]
    wanted = np.exp((logits - logits.max(axis=1, keepdims=True)) / 256)
    assert np.allclose(
        np.reshape(said["probabilities"], (5, 10)), wanted / wanted.sum(axis=1, keepdims=True), atol=1e-6
    )


def test_a_card_says_the_rest(folder: Path) -> None:
    """That of a head: its file, its labels, its scale, and whose records it reads. That of a codec: its file."""
    codec = hashlib.sha256(exact_file(DECODER)).hexdigest()
    card = {"sha256": hashlib.sha256(exact_file(HEAD)).hexdigest(), "labels": list("abcdefghij"), "codec": codec}
    out = program(
        folder,
        f"""import {{ readFileSync }} from "node:fs"; import {{ load }} from "atlcodec"; {SAY}
        const records = readFileSync("x.atlc"), card = {json.dumps(card)};
        for (const scale of [undefined, 2 ** -10]) {{
            const head = await load("c.onnx", {{ card: {{ ...card, scale }} }});
            console.log(head.id, JSON.stringify([...head.classify(records).probabilities]));
        }}
        const mine = await load("c.onnx", {{ card, scale: 2 ** -10, labels: Array(10).fill("x"), id: undefined }});
        console.log(mine.classify(records).labels.join(""), mine.id);
        const named = {{ sha256: {{ "decompressor.onnx": "{codec}" }} }};
        console.log((await load("d.onnx", {{ card: named }})).id);
        const damaged = Uint8Array.from(records, (byte, at) => byte ^ (at === 3));
        for (const call of [() => load("d.onnx", {{ card }}), () => load("c.onnx", {{ card: named }}),
            () => load("c.onnx", {{ card: {{ labels: [] }} }}),
            () => load("c.onnx", {{ card: {{ ...card, scale: 3 }} }}),
            async () => (await load("c.onnx", {{ card }})).classify(damaged)]) console.log(await say(call));""",
    ).splitlines()
    logits = exact.Network(exact_file(HEAD), HEAD)(np.fromfile(folder / "x.atlc", np.uint8).reshape(-1, 200))
    for line, scale in zip(out[:2], (1, 2.0**-10), strict=True):
        id, probabilities = line.split(" ", 1)
        assert id == codec[:8]
        found = np.reshape(json.loads(probabilities), logits.shape)
        assert np.allclose(found, metrics.probabilities(logits * np.float32(scale)), atol=1e-6)
    assert out[2:4] == ["xxxxx null", codec[:8]]
    assert re.fullmatch(r"BadModel d\.onnx: has the SHA-256 \w+, not \w+; fetch it again", out[4])
    assert re.fullmatch(r"BadModel c\.onnx: has the SHA-256 \w+, not \w+; fetch it again", out[5])
    assert out[6] == "BadModel c.onnx: its card has no SHA-256 of it; give the card.json beside it"
    assert out[7] == 'BadModel c.onnx: its scale must be a power of two, not "3"'
    assert out[8].startswith("BadRecord record 0: damaged, or of another codec")


# -- in a browser ------------------------------------------------------------------------------------------------------


def classic(folder: Path) -> None:
    """The classic script, beside the files."""
    done = node(WEB / "build.mjs", folder / "atlcodec.js")
    assert (done.returncode, done.stderr) == (0, "")


def digest(folder: Path) -> str:
    """Of the pixels of its records."""
    records = np.fromfile(folder / "x.atlc", np.uint8).reshape(-1, 200)
    return hashlib.sha256(exact.Network(exact_file(DECODER), DECODER)(records).tobytes()).hexdigest()


def test_the_classic_script_needs_no_modules(folder: Path) -> None:
    classic(folder)
    out = program(
        folder,
        """import { readFileSync } from "node:fs"; import { runInThisContext } from "node:vm";
        import { createHash } from "node:crypto";
        runInThisContext(readFileSync("atlcodec.js", "utf8"));
        const decoder = await atlcodec.load(readFileSync("d.onnx"));
        console.log(createHash("sha256").update(decoder.decode(readFileSync("x.atlc"))).digest("hex"));""",
    )
    assert out.strip() == digest(folder)


def in_browser(test: Callable[..., None]) -> Callable[..., None]:
    """Chromium takes some seconds to begin."""
    mark: Callable[[Callable[..., None]], Callable[..., None]] = pytest.mark.skipif(
        not os.environ.get("ATLC_TEST_ALL"), reason="starts Chromium: make test-more"
    )
    return mark(test)


def shown(address: str, folder: Path) -> str:
    """What a page says in the end."""
    assert CHROMIUM is not None
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"--user-data-dir={folder / 'profile'}"]
    command = [CHROMIUM, *flags, "--timeout=60000", "--virtual-time-budget=60000", address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    (body,) = re.findall(r"<body>(.*?)</body>", done.stdout, re.S)
    return html.unescape(body).strip()


SAYS = """
const failed = (error) => (document.body.textContent = `failed: ${error.message}`);
const said = (pixels) => crypto.subtle.digest("SHA-256", pixels).then((found) => {
  const bytes = Array.from(new Uint8Array(found), (byte) => byte.toString(16).padStart(2, "0"));
  document.body.textContent = bytes.join("");
});
"""


@in_browser
def test_a_page_from_the_disk(folder: Path) -> None:
    """With the classic script, and the files in a script of its own."""
    classic(folder)
    file, records = (
        json.dumps(base64.b64encode((folder / name).read_bytes()).decode()) for name in ("d.onnx", "x.atlc")
    )
    (folder / "page.html").write_text(
        f"""<!doctype html><meta charset="utf-8"><body></body><script src="atlcodec.js"></script><script>{SAYS}
        const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        atlcodec.load(bytes({file})).then((decoder) => decoder.decode(bytes({records}))).then(said).catch(failed);
        </script>"""
    )
    assert shown((folder / "page.html").as_uri(), folder) == digest(folder)


@in_browser
def test_a_page_from_a_server(folder: Path) -> None:
    """With modules, and the files by their addresses."""
    shutil.copytree(WEB, folder / "web")
    name = hashlib.sha256(exact_file(DECODER)).hexdigest()
    (folder / "page.html").write_text(
        f"""<!doctype html><meta charset="utf-8"><body></body><script type="module">{SAYS}
        import {{ load }} from "./web/index.js";
        const records = new Uint8Array(await (await fetch("x.atlc")).arrayBuffer());
        load("d.onnx", {{ sha256: "{name}" }}).then((decoder) => said(decoder.decode(records))).catch(failed);
        </script>"""
    )
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert shown(f"http://127.0.0.1:{server.server_port}/page.html", folder) == digest(folder)
        finally:
            server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass
