"""What the names of arrays tell: whether they are images or labels, their split, and their set.

    x_train    Y_test    train_images    testLabels    k49-train-imgs.npz with arr_0    train.npz with x and y

The array's own name comes before that of its file. Words that tell neither split nor kind are the name of the set:
those of `k49-train-imgs.npz` are "k49"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from atlcodec.sets import splits
from atlcodec.sets.formats.numpy_arrays import Array

IMAGES, LABELS, OTHER = "images", "labels", "other"
# Better words come first: where `data` and `images` are both there, the images are `images`.
_IMAGES = "images image imgs img pixels x data features arr".split()
_LABELS = "y labels label targets target classes class".split()
_WEAK = frozenset("data features arr".split())  # `label_data` are labels
_OTHER = frozenset("name names id ids mean std weight weights mask masks".split())  # `image_ids`, `class_names`
_KINDS = {**dict.fromkeys(_IMAGES, IMAGES), **dict.fromkeys(_LABELS, LABELS)}
_PARTNERS = {"x": "y", "image": "label", "img": "label"}
_UNNAMED = re.compile(r"(?:.*/)?arr_\d+")  # the names that np.savez gives to arrays without one


@dataclass(frozen=True)
class Named:
    """An array, and what its name and that of its file tell."""

    array: Array
    kind: str  # IMAGES, LABELS or OTHER; "" if the names do not tell
    split: str
    set: tuple[str, ...]  # the words of the file's name that tell neither
    rest: tuple[str, ...]  # and those of the array's own name, in a `.npz` file
    rank: int  # of the word for the kind: less is better
    own: bool  # whether the array's own name tells the kind
    unnamed: bool  # whether it has no name of its own in a `.npz` file


def named(array: Array) -> Named:
    unnamed = bool(_UNNAMED.fullmatch(array.name)) and bool(array.member)
    own = [] if unnamed or not array.member else _words(array.name)
    outer = words_of_file(array.path.name)
    word = _kind(own) or _kind(outer)
    kind = _KINDS.get(word, word)
    rank = (_IMAGES if kind == IMAGES else _LABELS).index(word) if word in _KINDS else len(_KINDS)
    split = splits.found_in(" ".join(own)) or splits.found_in(" ".join(outer))
    return Named(array, kind, split, _rest(outer), _rest(own), rank, bool(_kind(own)), unnamed)


def words_of_file(name: str) -> list[str]:
    return _words(_stem(name))


def set_of_file(name: str) -> tuple[str, ...] | None:
    """The set of a file whose name tells its split or its kind; None if the name tells neither."""
    found = words_of_file(name)
    rest = _rest(found)
    return rest if len(rest) < len(found) else None


def partner(images: str, other: str = "") -> str:
    """The name that labels of these images would have: "y_test" for "x_test". It is like that of `other` labels, of
    another split, if there are any. "" if there is no usual name."""
    mine = next((word for word in re.findall(r"[A-Za-z0-9]+", images) if splits.split_of(word)), "")
    theirs = next((word for word in re.findall(r"[A-Za-z0-9]+", other) if splits.split_of(word)), "")
    if mine and theirs:
        return _replaced(theirs, mine, other)
    for word in re.findall(r"[A-Za-z]+", images):
        if _KINDS.get(word.lower()) == IMAGES:
            return _replaced(word, _PARTNERS.get(word.lower(), "labels"), images)
    return ""


def labels_by_file(names: list[str], *, divided: bool) -> list[str]:
    """What the images of each file are, from the names of the files: what is left without the words that begin or end
    all of them: "cat" and "dog" for `full_numpy_bitmap_cat.npy` and `..._dog.npy`. If they are `divided` into splits,
    the words for splits do not count: "cat" for `cat_train.npy` and for `cat_test.npy`."""
    stems = [_without_split(_stem(name)) if divided else _stem(name) for name in names]
    found = [list(re.finditer(r"[^\W_]+", stem)) for stem in stems]
    words = [[word.group().lower() for word in some] for some in found]
    shortest = min(map(len, words))
    begin = next((n for n in range(shortest) if len({some[n] for some in words}) > 1), shortest)
    end = next((n for n in range(shortest - begin) if len({some[-1 - n] for some in words}) > 1), shortest - begin)
    if any(len(some) <= begin + end for some in words):
        return stems
    cut = [stem[some[begin].start() : some[-1 - end].end()] for stem, some in zip(stems, found, strict=True)]
    return cut if len(set(cut)) == len(set(stems)) else stems


def _stem(name: str) -> str:
    return re.sub(r"\.np[yz]$", "", name, flags=re.IGNORECASE)


def _without_split(stem: str) -> str:
    """ "cat_big" for "cat_train_big"."""
    kept = [word for word in re.findall(r"[^\W_]+[\W_]*", stem) if not splits.split_of(re.sub(r"[\W_]+", "", word))]
    return "".join(kept).rstrip("_- .") or stem


def _words(name: str) -> list[str]:
    """The words of a name; "xtrain" and "testy" are two."""
    found = []
    for word in splits.words(name):
        if word[0] in "xy" and splits.split_of(word[1:]):
            found += [word[0], word[1:]]
        elif word[-1] in "xy" and splits.split_of(word[:-1]):
            found += [word[:-1], word[-1]]
        else:
            found.append(word)
    return found


def _kind(words: list[str]) -> str:
    """The word that tells the kind, or OTHER; "" if no word does. The last one counts: `image_labels` are labels."""
    content = [word for word in words if not splits.split_of(word)]
    if content and content[-1] in _OTHER:
        return OTHER
    told = [word for word in content if word in _KINDS]
    strong = [word for word in told if word not in _WEAK] or told
    return strong[-1] if strong else ""


def _rest(words: list[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in _KINDS and not splits.split_of(word))


def _replaced(word: str, by: str, name: str) -> str:
    return re.sub(rf"(?<![A-Za-z0-9]){word}(?![A-Za-z0-9])", by, name, count=1)
