"""The library as its users call it: `encode`, `decode`, `classify`, `Codec`, and the errors."""

from __future__ import annotations

import itertools
import pickle
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import atlcodec
from atlcodec import api, codec, engine, metrics, picture, record, zoo
from atlcodec.codec import Codec
from atlcodec.engine import CHUNK
from atlcodec.errors import AtlcError, BadImage, DamagedRecord, NotARecord, UnknownModel
from atlcodec.fit import Fit
from drawings import seven
from kit import put

SEVEN = seven()
MNIST = "mnist-lenet"  # small and quick; "mnist" is of the default list


@pytest.fixture(scope="module")
def images() -> codec.Images:
    """Sevens moved about, and noise: uint8 (1100, 28, 28), more than two chunks."""
    rng = np.random.default_rng(0)
    made = np.stack([np.roll(SEVEN, tuple(rng.integers(-3, 4, 2)), (0, 1)) for _ in range(CHUNK * 2 + 76)])
    made[::50] = rng.integers(0, 256, (len(made[::50]), 28, 28))
    return made


def test_an_image_becomes_200_bytes_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "seven.png"
    path.write_bytes(picture.png(SEVEN))
    sealed = atlcodec.encode(path)
    assert isinstance(sealed, bytes)
    assert len(sealed) == 200
    assert atlcodec.encode(str(path)) == atlcodec.encode(Image.open(path)) == atlcodec.encode(SEVEN) == sealed
    decoded = atlcodec.decode(sealed)
    assert decoded.shape == (28, 28)
    assert decoded.dtype == np.uint8
    answer = atlcodec.classify(sealed)
    assert (answer.label, answer.index, answer.model, answer.head) == ("7", 7, "mnist", "digits")
    assert 0.5 < answer.probability <= 1
    assert np.array_equal(atlcodec.decode(np.frombuffer(sealed, np.uint8)), decoded)
    assert np.array_equal(atlcodec.decode(sealed, model="mnist"), decoded)


def test_the_bytes_of_an_image_file_are_an_image() -> None:
    file = picture.png(SEVEN)
    assert atlcodec.encode(file, model=MNIST) == atlcodec.encode(SEVEN, model=MNIST)
    with pytest.raises(BadImage, match=r"^the image: not an image in one of the formats"):
        atlcodec.encode(b"seven.png")


def test_an_image_is_scaled_and_made_grey_on_request(tmp_path: Path) -> None:
    colours = np.stack([SEVEN, SEVEN // 2, SEVEN], axis=2).repeat(2, axis=0).repeat(2, axis=1)
    path = tmp_path / "large.png"
    path.write_bytes(picture.png(colours))
    pixels = picture.read(path, Fit(fit="contain", gray=True), shape=(28, 28))
    record = atlcodec.encode(pixels, model=MNIST)
    for source in (path, path.read_bytes(), Image.open(path)):
        assert atlcodec.encode(source, model=MNIST, fit="contain", gray=True) == record
        with pytest.raises(BadImage, match=r"gray=True"):
            atlcodec.encode(source, model=MNIST, fit="contain")
        with pytest.raises(BadImage, match=r"fit='contain'"):
            atlcodec.encode(source, model=MNIST, gray=True)


def test_a_path_is_not_a_record() -> None:
    for function in (atlcodec.decode, atlcodec.classify, Codec.load(MNIST).decode):
        for path in ("digit.atlc", Path("digit.atlc")):
            with pytest.raises(NotARecord, match=r"not the path of a file; open it with atlcodec\.open"):
                function(path)  # type: ignore[arg-type]


def test_a_codec_shows_its_name_and_id() -> None:
    own = Codec.load(MNIST)
    assert repr(own) == f"<Codec mnist-lenet {own.id:08x}: images 28 x 28>"


def test_ctrl_c_stops_a_long_search_after_the_evaluations_at_hand(
    images: codec.Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it, every chunk that has begun would go on to its hundredth evaluation."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs without it
    own, calls = Codec.load(MNIST), itertools.count()
    taken = []
    main = threading.get_ident()

    class Interrupted:
        def run(self, latents: codec.Images, images: codec.Images) -> list[NDArray[np.float32]]:
            taken.append(number := next(calls))
            if number == 5:
                signal.pthread_kill(main, signal.SIGINT)
            time.sleep(0.05)
            return [np.zeros(len(images), np.float32), np.zeros(latents.shape, np.float32)]

    monkeypatch.setattr(engine, "threads", lambda: 2)
    own._refiners["errors", "gradient"] = Interrupted()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        own.encode(images[:512], effort=9)
    assert 5 <= len(taken) < 50


@pytest.mark.parametrize("effort", [True, False, -1, 10, 2.5])
def test_another_effort_is_refused(effort: float) -> None:
    with pytest.raises(ValueError, match=f"effort must be a whole number from 0 to 9, not {effort}"):
        Codec.load(MNIST).encode(SEVEN[None], effort)  # type: ignore[arg-type]


def test_a_missing_file_is_the_same_error_after_pickling() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        atlcodec.encode("nowhere.png")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))
    assert isinstance(again, AtlcError)


def test_a_codec_is_three_array_functions(images: codec.Images) -> None:
    own = Codec.load(MNIST)
    records = own.encode(images)
    assert records.shape == (len(images), 200)
    assert records.dtype == np.uint8
    assert (record.ids(records) == own.id).all()
    decoded = own.decode(records)
    assert decoded.shape == images.shape
    assert decoded.dtype == np.uint8
    scores = own.classify(records)
    assert scores.shape == (len(images), 10)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert own.labels == tuple("0123456789")
    assert np.array_equal(own.decode(records.tobytes()), decoded)


def test_a_record_does_not_depend_on_the_other_images_in_the_call(images: codec.Images) -> None:
    own = Codec.load(MNIST)
    together = own.encode(images)
    for rows in (slice(0, 1), slice(7, 10), slice(500, 530), slice(1090, None)):
        assert np.array_equal(own.encode(images[rows]), together[rows])
        assert np.array_equal(own.decode(together[rows]), own.decode(together)[rows])


def test_no_images_give_no_records() -> None:
    own = Codec.load(MNIST)
    assert own.encode(np.empty((0, 28, 28), np.uint8)).shape == (0, 200)
    assert own.decode(b"").shape == (0, 28, 28)
    assert own.classify(b"").shape == (0, 10)


def test_codecs_are_found_by_name_id_and_path() -> None:
    own = Codec.load(MNIST)
    assert Codec.load(f"{own.id:08x}").id == Codec.load(f"{own.id:08X}").id == own.id
    assert Codec.load(own.model.folder).id == Codec.load(str(own.model.folder)).id == own.id
    assert Codec.load(MNIST, head="digits").head.name == "digits"
    for which, message in (
        ("mnist-lenett", "no model 'mnist-lenett'.*mnist-lenet"),
        ("01234567", "no model"),
        ("", "no model"),
    ):
        with pytest.raises(UnknownModel, match=message):
            Codec.load(which)
    with pytest.raises(UnknownModel, match="no classifier 'letters'; it has: digits"):
        Codec.load(MNIST, head="letters")


def test_without_a_model_the_nearest_is_chosen_once_for_all() -> None:
    coats = np.zeros((4, 28, 28), np.uint8)
    coats[:, 2:27, 6:22] = np.random.default_rng(0).integers(120, 180, (4, 25, 16))
    for pixels in (SEVEN[None], coats):
        chosen, records, errors = api.choose(pixels)
        fit = {}
        for model in (each for each in zoo.default() if each.card.shape == pixels.shape[1:]):
            own = Codec(model)
            plain = own.encode(pixels, 0)
            error = ((pixels.astype(float) - own.decode(plain)) ** 2).mean(axis=(1, 2))
            fit[own.name] = np.mean(
                -10 * np.log10(error / 255**2) + codec.UNSURE * np.log(own.classify(plain).max(axis=1))
            )
        assert chosen.name == max(fit, key=lambda name: fit[name])
        assert np.array_equal(records, chosen.encode(pixels))
        assert np.array_equal(errors, metrics.squared_error(pixels, chosen.decode(records)))
    assert api.choose(SEVEN[None])[0].name == "mnist"
    assert api.choose(coats)[0].name == "fashion"


@pytest.mark.parametrize("bad", [np.zeros((28, 28)), np.zeros((27, 28), np.uint8), np.zeros((1, 28, 28), np.uint8), 7])
def test_an_image_of_another_shape_or_type_is_refused(bad: object) -> None:
    with pytest.raises(BadImage):
        atlcodec.encode(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.zeros((1, 28, 28)), np.zeros((28, 27), np.uint8), np.zeros((1, 28, 27), np.uint8)])
def test_images_of_another_shape_or_type_are_refused(bad: codec.Images) -> None:
    with pytest.raises(BadImage, match="uint8"):
        Codec.load(MNIST).encode(bad)


def test_invalid_records() -> None:
    for bad in (b"", bytes(199), bytes(400)):
        with pytest.raises(NotARecord):
            atlcodec.decode(bad)
        with pytest.raises(NotARecord):
            atlcodec.classify(bad)
    with pytest.raises(UnknownModel, match="the record: only zeros, not a record"):
        atlcodec.decode(bytes(200))
    rng = np.random.default_rng(0)
    for _ in range(50):
        with pytest.raises(UnknownModel):
            atlcodec.classify(rng.bytes(200))


def test_a_flipped_bit_is_noticed_and_named() -> None:
    sealed = bytearray(atlcodec.encode(SEVEN))
    sealed[17] ^= 0b00100000
    with pytest.raises(UnknownModel, match=r"bit 5 of byte 17 of a record of mnist is flipped"):
        atlcodec.decode(bytes(sealed))
    with pytest.raises(DamagedRecord, match=r"record 0: damaged: bit 5 of byte 17"):
        atlcodec.decode(bytes(sealed), model="mnist")


def test_a_record_of_another_model_is_not_decoded_by_the_one_named() -> None:
    sealed = atlcodec.encode(SEVEN, model="fashion-lenet")
    with pytest.raises(DamagedRecord, match="written by fashion-lenet, not by mnist-lenet"):
        atlcodec.decode(sealed, model=MNIST)
    assert atlcodec.classify(sealed).model == "fashion-lenet"
    many = np.stack([np.frombuffer(atlcodec.encode(SEVEN, model=MNIST), np.uint8), np.frombuffer(sealed, np.uint8)])
    with pytest.raises(DamagedRecord, match=r"record 1: written by fashion-lenet"):
        Codec.load(MNIST).classify(many)


def test_the_error_names_a_record_of_an_unknown_kind() -> None:
    latents = np.random.default_rng(0).uniform(0, 15, (1, 16, 5, 5)).astype(np.float32)
    other = record.pack(record.seal(*record.quantise(latents), 0x41544C02))
    with pytest.raises(UnknownModel, match="does not know"):
        atlcodec.decode(other.tobytes())


def test_every_error_is_an_atlc_error_and_one_line() -> None:
    for call in (lambda: atlcodec.decode(bytes(200)), lambda: Codec.load("none"), lambda: atlcodec.encode("none.png")):
        with pytest.raises(AtlcError) as caught:
            call()
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) > 20


def test_the_example_of_the_package_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("seven.png").write_bytes(picture.png(SEVEN))
    put(Path("images/7/seven.png"), SEVEN)
    text = atlcodec.__doc__ or ""
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    assert len(lines) == 11
    put(Path("scan.png"), np.tile(SEVEN, (2, 3)))
    program = "\n".join(["import atlcodec, numpy as np", "images = np.zeros((2, 28, 28), 'u1')", *lines])
    names: dict[str, object] = {}
    exec(program, names)
    assert (len(names["record"]), names["image"].shape, names["answer"].label) == (200, (28, 28), "7")  # type: ignore
    assert names["page"].shape == (56, 84)  # type: ignore[attr-defined]
    assert len(names["answers"]) == 2  # type: ignore[arg-type]
    assert Path("copy.atlc").read_bytes() == Path("set.atlc").read_bytes()


def test_the_first_bad_record_of_many_is_named() -> None:
    records = np.repeat(Codec.load(MNIST).encode(SEVEN[None]), 3000, axis=0)
    records[[1500, 2900], 9] ^= 1
    with pytest.raises(DamagedRecord, match="record 1500: damaged"):
        Codec.load(MNIST).classify(records)
    with pytest.raises(DamagedRecord, match="record 1500"):
        Codec.load(MNIST).decode(records)
