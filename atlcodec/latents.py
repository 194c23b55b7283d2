"""How a codec packs its latents into the 200 bytes of a record: latents of several widths, one after another.

    latents   M integers, first those of the first width, then those of the next; latent m is 0..2^bits - 1
    bits      1,600 in all, the highest bit of a latent first; each width begins at a byte
    labels    the last latents, if the compressor has some that serve the classifier alone; the encoder's search and
              the seal leave them as they are

Most codecs have 400 latents of four bits: the symbols themselves. The format knows nothing of other widths: the
decompressor unpacks its latents, and the card tells the encoder how many of each width there are."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlcodec import record
from atlcodec.record import BOTTLENECK, RECORD_BYTES, SYMBOLS, Symbols

Floats = NDArray[np.float32]
Integers = NDArray[np.uint8]

NEVER = np.float32(1e30)  # the cost of a move that changes the image much


@dataclass(frozen=True)
class Packing:
    """The widths of the latents: (bits, how many), in their order; and how many of them, the last ones, are for labels.
    Raises `ValueError` unless the latents fill a record."""

    widths: tuple[tuple[int, int], ...] = ((4, SYMBOLS),)
    labels: int = 0

    def __post_init__(self) -> None:
        sizes = [bits * count for bits, count in self.widths]
        valid = all(1 <= bits <= 8 and count > 0 for bits, count in self.widths)
        if not valid or sum(sizes) != 8 * RECORD_BYTES or any(size % 8 for size in sizes):
            raise ValueError(f"latents of the widths {self.widths} (bits, count) do not fill {RECORD_BYTES} bytes")
        if not 0 <= self.labels < self.count or (self.labels and self.uniform):
            raise ValueError(f"{self.labels} of {self.count} latents cannot be for labels")

    @property
    def uniform(self) -> bool:
        """Whether the latents are the 400 symbols."""
        return self.widths == ((4, SYMBOLS),)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one image's latents: (16, 5, 5) if they are the symbols, else (M,)."""
        return BOTTLENECK if self.uniform else (self.count,)

    @property
    def count(self) -> int:
        """How many latents there are."""
        return sum(count for _, count in self.widths)

    @functools.cached_property
    def bits(self) -> NDArray[np.int64]:
        """The width of each latent, (M,)."""
        return np.repeat([bits for bits, _ in self.widths], [count for _, count in self.widths])

    @functools.cached_property
    def top(self) -> Floats:
        """The highest level of each latent, float32 (M,)."""
        return (2.0**self.bits - 1).astype(np.float32)

    def pack(self, latents: Integers) -> Symbols:
        """Latents, uint8 (N, M), in 0..top -> symbols, uint8 (N, 400)."""
        if self.uniform:
            return latents
        records, first, at = np.empty((len(latents), RECORD_BYTES), np.uint8), 0, 0
        for bits, count in self.widths:
            together = 8 // math.gcd(bits, 8)  # so many latents are whole bytes
            part: NDArray[np.integer] = latents[:, first : first + count].astype(
                np.uint64 if together * bits > 32 else np.uint32
            )
            whole = part[:, ::together]
            for place in range(1, together):
                whole = whole << bits | part[:, place::together]
            size, end = together * bits // 8, at + count * bits // 8
            for place in range(size):
                records[:, at + place : end : size] = whole >> 8 * (size - 1 - place)
            first, at = first + count, end
        return record.unpack(records).reshape(-1, SYMBOLS)

    def unpack(self, symbols: Symbols) -> Integers:
        """Symbols, uint8 (N, 400) -> latents, uint8 (N, M); the inverse of `pack`."""
        if self.uniform:
            return symbols
        data = np.unpackbits(record.pack(symbols), axis=1)
        groups, start = [], 0
        for bits, count in self.widths:
            part = data[:, start : start + bits * count].reshape(-1, count, bits)
            groups.append(np.packbits(part, axis=2).reshape(-1, count) >> 8 - bits)
            start += bits * count
        return np.concatenate(groups, axis=1)

    def read(self, records: record.Records) -> Integers:
        """The latents of records, uint8 (N, 200) -> uint8 (N, *shape)."""
        return self.unpack(record.unpack(records).reshape(-1, SYMBOLS)).reshape(-1, *self.shape)

    def nearest(self, latents: Floats) -> tuple[Symbols, Symbols, Floats]:
        """The arguments of `record.seal`, each (N, 400), for a compressor's latents, float32 (N, *shape) in 0..top: the
        nearest symbols, one alternative for each, and how much it raises the squared distance to the latents."""
        if self.uniform:
            return record.quantise(latents)
        levels = np.rint(latents)
        return self.moves(levels, 2 * (levels - latents))

    def moves(self, latents: Floats, gradient: Floats) -> tuple[Symbols, Symbols, Floats]:
        """The same for latents on their levels, float32 (N, M), and the gradient of an error there, float32 (N, M): the
        symbols, one alternative for each, and the change of the error.

        A latent that is a symbol moves one step down its gradient, or inwards at its lowest and highest level. Of other
        widths, the lowest bit flips: that is one step, too. A symbol with several lowest bits takes the best flip; one
        without any should stay. The curvature of the error is left out: it is similar for all latents, since their
        steps have similar sizes."""
        if self.uniform:
            step = np.where(gradient > 0, np.float32(-1), np.float32(1))
            step = np.where(latents + step < 0, 1, np.where(latents + step > self.top, -1, step)).astype(np.float32)
            return latents.astype(np.uint8), (latents + step).astype(np.uint8), gradient * step
        now = latents.astype(np.uint8)
        costs = np.empty((len(now), self.count + 1), np.float32)
        np.multiply(gradient, 1 - 2 * (now & 1).view(np.int8), out=costs[:, :-1])
        costs[:, -1] = NEVER  # of no latent
        (latents_of, masks), *others = self._lowest
        cost, change = np.take(costs, latents_of, axis=1), np.broadcast_to(masks, (len(now), SYMBOLS))
        for latents_of, masks in others:
            other = np.take(costs, latents_of, axis=1)
            change = np.where(other < cost, masks, change)
            np.minimum(cost, other, out=cost)
        symbols = self.pack(now)
        return symbols, symbols ^ change, cost

    @functools.cached_property
    def _lowest(self) -> list[tuple[NDArray[np.int64], Integers]]:
        """The latents whose lowest bit lies in each symbol, int64 (400,), and the mask of that bit, uint8 (400,): for
        the first such latent of a symbol, for the second, and so on. `count` stands for no latent."""
        found: list[list[tuple[int, int]]] = [[] for _ in range(SYMBOLS)]
        for latent, end in enumerate(np.cumsum(self.bits).tolist()[: self.count - self.labels]):
            found[(end - 1) // 4].append((latent, 8 >> (end - 1) % 4))
        most = max(map(len, found))
        table = np.array([each + [(self.count, 1)] * (most - len(each)) for each in found])
        return [(table[:, place, 0], table[:, place, 1].astype(np.uint8)) for place in range(most)]


UNIFORM = Packing()
