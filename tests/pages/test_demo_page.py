"""The demo page in Chromium: a picture is dropped, encoded as Python would read it, and its record saved."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import demo_page
from atlcodec import metrics, neighbours, picture, record, zoo
from atlcodec.codec import Codec
from browser_kit import Page, browser, in_browser
from drawings import Pixels
from kit import put, shown

pytestmark = in_browser
PIXELS = """((canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
    .filter((_, at) => at % 4 === 0))"""
ENCODED = "document.querySelector('#status').textContent.includes('dB') && document.querySelector('#decoded')"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    target = tmp_path_factory.mktemp("demo") / "index.html"
    demo_page.main(str(target))
    return target.as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def opened(page: Page, address: str, width: int = 1200) -> None:
    page.resize(width)
    page.open(address)
    page.wait("document.querySelectorAll('#near li').length === 12")


def drop(page: Page, path: Path) -> None:
    """As from the desktop."""
    kind = "image/png" if path.suffix == ".png" else ""
    page.run(
        f"""(() => {{
        const bytes = Uint8Array.from(atob({json.dumps(base64.b64encode(path.read_bytes()).decode())}),
            (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], {json.dumps(path.name)}, {{ type: {json.dumps(kind)} }}));
        document.querySelector("#status").textContent = "";
        dispatchEvent(new DragEvent("drop", {{ dataTransfer: transfer, cancelable: true }}));
        }})()"""
    )


def pixels(page: Page, id: str, shape: tuple[int, ...]) -> Pixels:
    return np.reshape(page.run(f"{PIXELS}(document.querySelector('#{id}'))"), shape).astype(np.uint8)


def saved(page: Page, folder: Path) -> bytes:
    """The record that the page saves."""
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
    page.run("document.querySelector('#save').click()")
    end = time.monotonic() + 30
    while not ((file := folder / "picture.atlc").exists() and file.stat().st_size == 200):
        assert time.monotonic() < end
        time.sleep(0.05)
    return file.read_bytes()


def test_a_picture_becomes_a_record_that_python_reads(page: Page, address: str, tmp_path: Path, digit: Pixels) -> None:
    opened(page, address)
    put(tmp_path / "seven.png", digit)
    drop(page, tmp_path / "seven.png")
    page.wait(ENCODED)
    assert np.array_equal(pixels(page, "original", (28, 28)), digit)
    packed = np.frombuffer(saved(page, tmp_path), np.uint8)[None]
    codec = Codec.load("mnist")
    assert record.ids(packed).tolist() == [codec.id]
    decoded = codec.decode(packed)
    assert np.array_equal(pixels(page, "decoded", (28, 28)), decoded[0])
    psnr = metrics.psnr_each(metrics.squared_error(digit[None], decoded))[0]
    said = f"mnist, chosen among {len(zoo.default())} codecs: {psnr:.1f} dB"
    assert page.run("document.querySelector('#status').textContent") == said
    assert page.run("document.querySelector('#facts dd:nth-of-type(2)').previousSibling.textContent") == "7"
    symbols = pixels(page, "symbols", (400,))
    assert np.array_equal(symbols, 17 * record.unpack(packed).ravel())
    assert page.problems == []
    assert [one for one in page.requests[1:] if not one.startswith("blob:")] == []


def test_dark_on_white_is_inverted_and_a_codec_is_named(
    page: Page, address: str, tmp_path: Path, digit: Pixels
) -> None:
    opened(page, address)
    put(tmp_path / "dark.png", np.repeat(255 - digit, 3, 0).repeat(3, 1))
    page.run("document.querySelector('#codec').value = '1'")
    drop(page, tmp_path / "dark.png")
    page.wait(ENCODED)
    assert page.run("document.querySelector('#invert').checked") is True
    assert np.abs(pixels(page, "original", (28, 28)).astype(int) - digit).max() < 90
    assert page.run("document.querySelector('#status').textContent").startswith("fashion: ")


def test_a_record_is_shown_with_what_is_like_it(page: Page, address: str, tmp_path: Path, digit: Pixels) -> None:
    codec = Codec.load("mnist")
    packed = codec.encode(digit[None])
    (tmp_path / "x.atlc").write_bytes(packed.tobytes())
    opened(page, address)
    drop(page, tmp_path / "x.atlc")
    page.wait("document.querySelector('#decoded') && document.querySelector('#near .figures').textContent")
    assert np.array_equal(pixels(page, "decoded", (28, 28)), codec.decode(packed)[0])
    samples = demo_page.drawn()[codec.id]
    _, distances = neighbours.nearest(codec, packed, np.stack([one for one, _ in samples]), top=1)
    assert page.run("document.querySelector('#near .figures').textContent") == f"{distances[0][0]:.1f} away"
    before = pixels(page, "symbols", (400,))
    page.click("#symbols")
    page.wait("document.querySelector('#seal').textContent.includes('seal is broken')")
    changed = before != pixels(page, "symbols", (400,))
    assert changed.sum() == 1
    other = packed.copy()
    place = int(np.nonzero(changed)[0][0])
    other[0, place // 2] ^= 0x80 if place % 2 == 0 else 0x08
    assert np.array_equal(pixels(page, "decoded", (28, 28)), codec.decode(other, verify=False)[0])


def test_what_is_not_a_picture_is_refused(page: Page, address: str, tmp_path: Path) -> None:
    opened(page, address)
    (tmp_path / "<b>.png").write_bytes(b"no picture")
    drop(page, tmp_path / "<b>.png")
    page.wait("document.querySelector('#status').textContent")
    assert "<b>.png: is not a picture" in page.run("document.querySelector('#status').textContent")
    (tmp_path / "x.atlc").write_bytes(bytes(200))
    drop(page, tmp_path / "x.atlc")
    page.wait("document.querySelector('#status').textContent.includes('damaged')")


@pytest.mark.parametrize("width", [360, 1920])
def test_it_fits_its_window(page: Page, address: str, width: int, tmp_path: Path) -> None:
    opened(page, address, width)
    page.run("document.querySelector('#near .cell').click()")
    page.wait("document.querySelector('#decoded')")
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    page.screenshot(tmp_path / "page.png")
    assert picture.read(tmp_path / "page.png").shape[1] == shown(tmp_path / "page.png").shape[1] == width
