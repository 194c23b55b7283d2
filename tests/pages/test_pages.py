"""Pages of `atlc show`, opened in Chromium from the disk: pixels, labels, keyboard, search, what they must not do."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import atlcodec
from atlcodec import neighbours
from atlcodec.codec import Codec
from atlcodec.sets import manifest
from browser_kit import Page, browser, in_browser
from drawings import Pixels
from kit import Cli, put
from web_kit import NODE, WEB, node

pytestmark = in_browser
HOSTILE = [
    ("</script><script>alert(1)</script>.png", "<img src=x onerror=alert(1)>"),
    ("a\"b'c&amp;.png", "\"'`${alert(1)}"),
    ("<!--.png", "evil\u202egnp"),
    ("ok.png", "日本語 العربية"),
]
READY = "document.documentElement.dataset.decoded === 'true'"
PIXELS = """((canvas) => { const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return [canvas.height, canvas.width, ...data.filter((_, at) => at % 4 < 3)]; })"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw: Callable[[float], Pixels]) -> Path:
    """300 sevens, some called a one, with their page; a scene in tiles; a set with a hostile list."""
    root = tmp_path_factory.mktemp("pages")
    images = np.stack([draw(slant) for slant in np.linspace(-5, 5, 300)])
    atlcodec.write(root / "set.atlc", Codec.load("mnist").encode(images, effort=0))
    label = {5: "1", 250: "1"}
    manifest.write(root / "set.csv", [manifest.Entry(at, f"x/{at}.png", label.get(at, "7")) for at in range(300)])
    atlcodec.write(root / "hostile.atlc", Codec.load("kmnist-lenet").encode(images[:4]))
    manifest.write(root / "hostile.csv", [manifest.Entry(at, *texts) for at, texts in enumerate(HOSTILE)])
    put(root / "scene.png", np.tile(images[0], (4, 5))[:100, :120])
    for at in range(300):
        put(root / "originals/x" / f"{at}.png", images[at])
    return root


def made(cli: Cli, *arguments: str | Path) -> str:
    """The address of a page that a command made."""
    ran = cli(*arguments)
    assert (ran.code, ran.out) == (0, b""), ran
    return Path(arguments[arguments.index("-o") + 1]).resolve().as_uri()


def opened(page: Page, address: str, width: int = 1200) -> None:
    page.resize(width)
    page.open(address)
    page.wait(READY)


def clean(page: Page) -> None:
    """It complained of nothing, and asked for nothing but itself and its worker."""
    assert page.problems == []
    assert [one for one in page.requests[1:] if not one.startswith("blob:")] == []


def pixels(page: Page, selector: str) -> Pixels:
    height, width, *values = page.run(f"{PIXELS}(document.querySelector({json.dumps(selector)}))")
    return np.reshape(values, (height, width, 3)).astype(np.uint8)


def text(page: Page, selector: str) -> str:
    return str(page.run(f"document.querySelector({json.dumps(selector)}).textContent"))


def test_the_decoder_is_that_of_web(tmp_path: Path) -> None:
    """After a change of web/: node web/build.mjs atlcodec/show/page/decoder.js"""
    assert shutil.which(NODE) is not None
    assert node(WEB / "build.mjs", tmp_path / "x.js").returncode == 0
    assert (tmp_path / "x.js").read_text() == (WEB.parent / "atlcodec/show/page/decoder.js").read_text()


def test_pixels_and_labels_are_those_of_python(cli: Cli, folder: Path, page: Page) -> None:
    opened(page, made(cli, "show", folder / "set.atlc", "-o", folder / "set.html"))
    codec = Codec.load("mnist")
    packed = np.fromfile(folder / "set.atlc", np.uint8).reshape(-1, 200)
    shown = page.run("[...document.querySelectorAll('.cell')].map((cell) => Number(cell.dataset.image))")
    assert shown[:3] == [0, 1, 2]
    assert 20 < len(shown) < 300  # only what is in sight
    for image in shown:
        drawn = pixels(page, f".cell[data-image='{image}'] canvas")
        assert np.array_equal(drawn, np.repeat(codec.decode(packed[image : image + 1])[0][..., None], 3, axis=2))
        label = codec.predict(packed[image : image + 1])[0]
        caption = f"{label.label}, not 1" if image == 5 else f"{label.label}?" if label.unsure else label.label
        assert text(page, f".cell[data-image='{image}'] .caption") == caption
    assert "99.3 % of 300 labels right" in text(page, "#summary")
    clean(page)


def test_labels_are_chosen_and_confused_ones_found(cli: Cli, folder: Path, page: Page) -> None:
    opened(page, made(cli, "show", folder / "set.atlc", "-o", folder / "wrong.html", "--sort", "probability"))
    assert page.run("[...document.querySelectorAll('.cell.wrong')].map((c) => +c.dataset.image).sort()") == [250, 5]
    assert page.run("+document.querySelector('.cell').dataset.image") in (5, 250)
    page.click("summary")
    page.click("td.off button")
    assert text(page, "#status") == "2 of 300 images"
    page.key("Escape")
    assert text(page, "#status") == ""
    page.run("document.querySelector('#wrong').click()")
    assert text(page, "#status") == "2 of 300 images"
    page.click("#reset")
    page.run("document.querySelector('#text').focus()")
    page.call("Input.insertText", text="x/25")
    page.wait("document.querySelector('#status').textContent === '11 of 300 images'")
    clean(page)


def test_the_keyboard_reaches_everything(cli: Cli, folder: Path, page: Page) -> None:
    opened(page, made(cli, "show", folder / "set.atlc", "-o", folder / "keys.html"), 360)
    page.run("document.querySelector('.cell').focus()")
    for key in ("ArrowRight", "ArrowDown"):
        page.key(key)
    columns = page.run("document.activeElement.dataset.image - 1")
    assert columns == 3  # at 360 pixels
    assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.key("Enter")
    page.wait("document.querySelector('#detail').open")
    assert text(page, "#name") == "x/4.png"
    page.key("ArrowRight")
    assert text(page, "#name") == "x/5.png"
    page.key("Escape")
    page.wait("!document.querySelector('#detail').open")
    page.wait("document.activeElement.dataset.image === '5'")
    page.key("End")
    page.wait("document.activeElement.dataset.image === '299'")
    page.wait(READY)
    assert pixels(page, ".cell[data-image='299'] canvas").any()
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    clean(page)


def test_a_click_searches_as_similar_does(cli: Cli, folder: Path, page: Page) -> None:
    opened(page, made(cli, "show", folder / "set.atlc", "-o", folder / "near.html"))
    page.click(".cell[data-image='12']")
    page.wait("document.querySelectorAll('#near li').length === 12")
    packed = np.fromfile(folder / "set.atlc", np.uint8).reshape(-1, 200)
    numbers, distances = neighbours.nearest(Codec.load("mnist"), packed[12:13], packed, top=300)
    wanted = [number for number in numbers[0].tolist() if number != 12]
    assert page.run("[...document.querySelectorAll('#near .cell')].map((c) => +c.dataset.image)") == wanted[:12]
    assert text(page, "#near .figures") == f"{distances[0][1]:.1f} away"
    page.wait("document.querySelector('#likely dd')")
    assert re.search(r"7\d+\.\d %", text(page, "#likely"))
    page.click("#alike")
    page.wait("document.querySelector('#status').textContent.includes('most similar to x/12.png')")
    page.wait(READY)
    order = page.run("[...document.querySelectorAll('#list .cell')].map((c) => +c.dataset.image)")
    assert order == numbers[0].tolist()[: len(order)]
    clean(page)


def test_a_record_is_saved(cli: Cli, folder: Path, page: Page, tmp_path: Path) -> None:
    opened(page, made(cli, "show", folder / "set.atlc", "-o", folder / "save.html"))
    page.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click(".cell[data-image='7']")
    page.wait("document.querySelectorAll('#near li').length === 12")
    page.click("#save")
    saved = tmp_path / "7.atlc"
    for _ in range(200):
        if saved.exists() and saved.stat().st_size == 200:
            break
        page.run("new Promise((resolve) => setTimeout(resolve, 50))")
    assert saved.read_bytes() == (folder / "set.atlc").read_bytes()[1400:1600]


def test_a_grid_is_one_image_with_a_map(cli: Cli, folder: Path, page: Page) -> None:
    assert cli("encode", "--grid", "-m", "mnist", folder / "scene.png", "-o", folder / "scene.atlc").code == 0
    opened(page, made(cli, "show", folder / "scene.atlc", folder / "set.atlc", "-o", folder / "scene.html"))
    page.click(".cell")
    page.wait(f"document.querySelector('#map') && {READY}")
    image = np.repeat(atlcodec.decode_image(folder / "scene.atlc")[..., None], 3, axis=2)
    assert np.array_equal(pixels(page, "#pictures canvas"), image)
    assert "tiles" in text(page, "#likely")
    page.click("#map")
    assert not np.array_equal(pixels(page, "#pictures canvas"), image)
    page.click("#map")
    assert np.array_equal(pixels(page, "#pictures canvas"), image)
    clean(page)


def test_a_hundred_thousand_images(cli: Cli, folder: Path, page: Page) -> None:
    """They open, scroll and are searched. The limits are those of a busy machine."""
    (folder / "many.atlc").write_bytes((folder / "set.atlc").read_bytes() * 334)
    address = made(cli, "show", folder / "many.atlc", "-o", folder / "many.html")
    begun = time.monotonic()
    opened(page, address)
    assert time.monotonic() - begun < 30
    assert page.run("performance.getEntriesByName('first-contentful-paint')[0].startTime") < 5000
    page.run("scrollTo(0, document.body.scrollHeight)")
    page.wait("document.querySelector('[aria-posinset=\"100200\"]')")
    page.wait(READY)
    packed = np.fromfile(folder / "set.atlc", np.uint8).reshape(-1, 200)
    last = np.repeat(Codec.load("mnist").decode(packed[299:])[0][..., None], 3, axis=2)
    assert np.array_equal(pixels(page, ".cell[data-image='100199'] canvas"), last)
    page.click(".cell[data-image='100199']")
    begun = time.monotonic()
    page.wait("document.querySelectorAll('#near li').length === 12")
    assert time.monotonic() - begun < 5
    assert page.run("[...document.querySelectorAll('#near .cell')].map((c) => c.dataset.image % 300)") == [299] * 12
    assert page.run("document.querySelectorAll('.cell').length") < 400
    clean(page)


def test_originals_and_differences(cli: Cli, folder: Path, page: Page) -> None:
    where = folder / "originals"
    opened(page, made(cli, "show", folder / "set.atlc", "-o", folder / "o.html", "--original", where, "--limit", "9"))
    panels = [
        pixels(page, f".cell[data-image='3'] canvas[data-panel='{name}']")[..., 0].astype(int)
        for name in ("original", "decoded", "difference")
    ]
    assert np.array_equal(panels[0], atlcodec.picture.read(where / "x/3.png"))
    assert np.array_equal(panels[2], np.clip(128 + 4 * (panels[1] - panels[0]), 0, 255))
    assert " dB" in text(page, ".figures")
    clean(page)


def test_a_hostile_list_is_text(cli: Cli, folder: Path, page: Page) -> None:
    opened(page, made(cli, "show", folder / "hostile.atlc", "-o", folder / "hostile.html"))
    captions = page.run("[...document.querySelectorAll('.caption')].map((each) => each.textContent)")
    shown = [label.replace("\u202e", "\\u{202e}") for _, label in HOSTILE]
    assert captions == shown
    for at, (path, _) in enumerate(HOSTILE):
        page.run(f"document.querySelectorAll('#list .cell')[{at}].click()")
        assert text(page, "#name") == path
    assert page.run("document.querySelectorAll('img, iframe, object, link').length") == 0
    clean(page)


def test_a_page_cannot_load_anything(cli: Cli, folder: Path, page: Page) -> None:
    address = made(cli, "show", folder / "set.atlc", "-o", folder / "closed.html", "--limit", "3")
    page_text = (folder / "closed.html").read_text("utf-8")
    assert re.findall(r"""(?:src|href|action)\s*=\s*["']|@import|url\(|https?://""", page_text) == []
    opened(page, address)
    refused = """fetch("https://example.org").then(() => "loaded", () => "refused")"""
    assert page.run(refused) == "refused"
    script = """new Promise((resolve) => { const script = document.createElement("script");
        script.textContent = "window.ran = true"; document.body.append(script); resolve(window.ran === true); })"""
    assert page.run(script) is False
    page.problems.clear()


def test_similar_shows_its_hits(cli: Cli, folder: Path, page: Page) -> None:
    (folder / "query.atlc").write_bytes((folder / "set.atlc").read_bytes()[2000:2200])
    command = ("similar", folder / "query.atlc", folder / "set.atlc", "--top", "5", "-o", folder / "hits.html")
    opened(page, made(cli, *command))
    captions = page.run("[...document.querySelectorAll('.caption')].map((each) => each.textContent)")
    assert captions == ["query", "7", "7", "7", "7", "7"]
    assert text(page, "li:nth-child(2) .figures") == "0.0 away"
    clean(page)


@pytest.mark.parametrize("width", [360, 1920])
@pytest.mark.parametrize("dark", [False, True])
def test_both_themes_and_widths(cli: Cli, folder: Path, page: Page, width: int, dark: bool) -> None:
    page.resize(width, dark=dark)
    page.open(made(cli, "show", folder / "set.atlc", "-o", folder / "both.html", "-f"))
    page.wait(READY)
    paper = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    ink = page.run("getComputedStyle(document.body).color.match(/\\d+/g).map(Number)")
    assert (max(paper) < 60 and min(ink) > 200) if dark else (min(paper) > 200 and max(ink) < 60)
    page.click(".cell")
    page.wait(READY)
    assert page.run("document.documentElement.scrollWidth <= innerWidth")
    assert page.run("document.querySelector('#detail').scrollWidth <= innerWidth")
