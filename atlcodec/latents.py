"""How a codec packs its latents into the 200 bytes of a record: some have 8 bits, some 4, some 2.

    bytes     0 ..            each one latent of 8 bits: two symbols
    then      4 bits each     one symbol each
    then      2 bits each     two to a symbol, the first in its high bits

    2 n8 + n4 + n2 / 2 = 400 symbols; n4 is even, n2 a multiple of 4

A codec whose latents are its 400 symbols has n8 = n2 = 0. The format knows nothing of this: the decompressor unpacks
its latents, and the card tells the encoder how many of each width there are."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from atlcodec.record import SYMBOLS, Symbols

Floats = NDArray[np.float32]
Integers = NDArray[np.uint8]

NEVER = np.float32(1e30)  # the cost of a move that changes much: the high half of 8 bits


@dataclass(frozen=True)
class Packing:
    """The number of latents of 8, of 4 and of 2 bits. Raises `ValueError` unless they fill 400 symbols."""

    n8: int = 0
    n4: int = SYMBOLS
    n2: int = 0

    def __post_init__(self) -> None:
        counts = (self.n8, self.n4, self.n2)
        if min(counts) < 0 or self.n4 % 2 or self.n2 % 4 or 4 * self.n8 + 2 * self.n4 + self.n2 != 2 * SYMBOLS:
            raise ValueError(f"{counts} latents of 8, 4 and 2 bits do not fill {SYMBOLS} symbols")

    @property
    def count(self) -> int:
        """How many latents there are."""
        return self.n8 + self.n4 + self.n2

    @functools.cached_property
    def top(self) -> Floats:
        """The highest level of each latent, float32 (count,): 255, 15 or 3."""
        return np.repeat(np.array([255, 15, 3], np.float32), [self.n8, self.n4, self.n2])

    def pack(self, latents: Integers) -> Symbols:
        """Latents, uint8 (N, count), in 0..top -> symbols, uint8 (N, 400)."""
        eight, four, two = np.split(latents, [self.n8, self.n8 + self.n4], axis=1)
        halves = np.stack([eight >> 4, eight & 15], axis=2).reshape(len(latents), -1)
        return np.concatenate([halves, four, two[:, 0::2] << 2 | two[:, 1::2]], axis=1)

    def unpack(self, symbols: Symbols) -> Integers:
        """Symbols, uint8 (N, 400) -> latents, uint8 (N, count); the inverse of `pack`."""
        halves, four, pairs = np.split(symbols, [2 * self.n8, 2 * self.n8 + self.n4], axis=1)
        two = np.stack([pairs >> 2, pairs & 3], axis=2).reshape(len(symbols), -1)
        return np.concatenate([halves[:, 0::2] << 4 | halves[:, 1::2], four, two], axis=1)

    def start(self, symbols: Floats) -> Floats:
        """A compressor's output, float32 (N, 400) -> latents that are not rounded, float32 (N, count).

        What a symbol is off its level belongs to the latent in its low bits."""
        levels = np.rint(symbols)
        latents = self.unpack(levels.astype(np.uint8)).astype(np.float32)
        rest = symbols - levels
        latents[:, : self.n8] += rest[:, 1 : 2 * self.n8 : 2]
        latents[:, self.n8 : self.n8 + self.n4] += rest[:, 2 * self.n8 : 2 * self.n8 + self.n4]
        latents[:, self.n8 + self.n4 + 1 :: 2] += rest[:, 2 * self.n8 + self.n4 :]
        return latents

    def moves(self, latents: Floats, gradient: Floats) -> tuple[Symbols, Symbols, Floats]:
        """The arguments of `record.seal`, each (N, 400), for latents on their levels, float32 (N, count), and the
        gradient of the error there: the symbols, one alternative for each symbol, and the change of the error.

        A latent moves one step down its gradient, or inwards at its lowest and highest level. A symbol of two latents
        takes the better of their moves. The low half of 8 bits moves where that changes no other bit. The curvature of
        the error is left out: it is similar for all latents, since their steps have similar sizes."""
        step = np.where(gradient > 0, np.float32(-1), np.float32(1))
        step = np.where(latents + step < 0, 1, np.where(latents + step > self.top, -1, step)).astype(np.float32)
        eight, pairs = slice(0, self.n8), slice(self.n8 + self.n4, None)
        carries = latents[:, eight] // 16 != (latents[:, eight] + step[:, eight]) // 16
        step[:, eight] = np.where(carries, -step[:, eight], step[:, eight])
        cost = gradient * step

        symbols, alternatives = self.pack(latents.astype(np.uint8)), self.pack((latents + step).astype(np.uint8))
        costs = np.full(symbols.shape, NEVER, np.float32)
        alternatives[:, 0 : 2 * self.n8 : 2] = symbols[:, 0 : 2 * self.n8 : 2] ^ 1  # any other level will do
        costs[:, 1 : 2 * self.n8 : 2] = cost[:, eight]
        costs[:, 2 * self.n8 : 2 * self.n8 + self.n4] = cost[:, self.n8 : self.n8 + self.n4]
        two = slice(SYMBOLS - self.n2 // 2, None)
        high, low = cost[:, pairs][:, 0::2], cost[:, pairs][:, 1::2]
        changed = np.where(high <= low, np.uint8(12), np.uint8(3))  # the bits of the latent that moves
        alternatives[:, two] = symbols[:, two] & ~changed | alternatives[:, two] & changed
        costs[:, two] = np.minimum(high, low)
        return symbols, alternatives, costs
