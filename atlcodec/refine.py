"""Latent refinement: the encoder's search for better symbols (Campos et al. 2019; Yang, Bamler and Mandt 2020).

The decompressor is the format, so an encoder may write any symbols. The compressor's latents are refined by the squared
error of the decoded image, whose gradient is taken at the rounded latents and applied to the latents themselves.

A refiner that knows the curvature of the error gives the step of each latent; a few of them, ever shorter, are the
search. One that gives the gradient alone takes longer (Adam; Kingma and Ba 2015). Then the seal moves the symbols that
raise the error least, or lower it, by that gradient. The best point may be costly to seal, so a long search seals
several good points and keeps the best record."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from atlcodec import record
from atlcodec.latents import UNIFORM, Packing

Floats = NDArray[np.float32]
Refiner = Callable[[Floats, NDArray[np.uint8]], Sequence[Floats]]
Evaluate = Callable[[Floats], tuple[Floats, Floats]]

# By effort: how often the image is decoded and compared. With a gradient, that takes as long as decoding three times.
EVALUATIONS = (0, 1, 2, 3, 5, 8, 13, 24, 48, 100)
EXACT = 24  # evaluations from which steps follow the whole decompressor; fewer follow its linear path, which is faster


def evaluations(effort: int) -> int:
    """How often an effort of 0 to 9 evaluates the error. Raises `ValueError`."""
    if isinstance(effort, bool) or effort not in range(len(EVALUATIONS)):
        raise ValueError(f"effort must be a whole number from 0 to {len(EVALUATIONS) - 1}, not {effort!r}")
    return EVALUATIONS[effort]


def outputs(evaluations: int, packing: Packing) -> tuple[str, ...]:
    """The outputs of a refiner that a search goes by."""
    if packing.uniform:
        return "errors", "gradient"
    return ("step",) if evaluations >= EXACT else ("linear_step",)


def symbols(
    images: NDArray[np.uint8],
    latents: Floats,
    refiner: Refiner,
    evaluations: int,
    id: int,
    packing: Packing = UNIFORM,
) -> record.Symbols:
    """Sealed symbols, uint8 (N, 400), for images, uint8 (N, *shape), and the compressor's latents, float32 (N,
    *packing.shape).

    `refiner` maps latents on their levels and images to what `outputs` names: `errors`, the squared errors, float32
    (N,), and `gradient`, theirs, of the latents' shape; or, of the same shape, the step that would make the errors
    least: `step` if all of the decompressor is followed, `linear_step` if only its linear path is."""
    if packing.uniform:
        return by_gradient(images, latents, refiner, evaluations, id, packing)
    return by_steps(images, latents, refiner, evaluations, id, packing)


def by_steps(
    images: NDArray[np.uint8], latents: Floats, refiner: Refiner, evaluations: int, id: int, packing: Packing
) -> record.Symbols:
    """Newton's steps with the curvature of the linear path. Each rounding adds noise to the next step, so the steps
    become shorter. The point after the last one need not be evaluated: what it lies from its levels is what the seal
    goes by."""
    rate = (0.3, 0.47, 0.6)[min(evaluations, 3) - 1]
    z = latents.copy()
    for number in range(evaluations):
        (step,) = refiner(np.rint(z), images)
        z += np.float32(rate * (1 - number / evaluations) ** 1.5) * step
        np.clip(z, 0, packing.top, out=z)
    return record.seal(*packing.nearest(z), id)


def by_gradient(
    images: NDArray[np.uint8], latents: Floats, refiner: Refiner, evaluations: int, id: int, packing: Packing
) -> record.Symbols:
    """Adam, with the best of several sealed points if the search is long."""
    points = evaluations // 8  # how many points are sealed and compared; each of them costs one evaluation
    start, top = latents.reshape(len(latents), -1), packing.top
    shape = (-1, *packing.shape)

    def evaluate(z: Floats) -> tuple[Floats, Floats]:
        errors, gradient = refiner(z.reshape(shape), images)
        return errors, gradient.reshape(z.shape)

    if points < 2:
        ((best, slope),) = descend(start, top, evaluate, evaluations, 1)
        return record.seal(*packing.moves(best, slope), id)
    chosen, lowest = np.empty((len(images), record.SYMBOLS), np.uint8), np.full(len(images), np.inf, np.float32)
    for point, slope in descend(start, top, evaluate, evaluations - points, points):
        sealed = record.seal(*packing.moves(point, slope), id)
        errors, _ = evaluate(packing.unpack(sealed).astype(np.float32))
        better = errors < lowest
        chosen[better], lowest[better] = sealed[better], errors[better]
    return chosen


def descend(
    latents: Floats, top: Floats, evaluate: Evaluate, evaluations: int, count: int
) -> Iterator[tuple[Floats, Floats]]:
    """The `count` best points that the descent of each image meets, in any order: latents on their levels 0..`top`,
    float32 (N, M), and the gradient there, float32 (N, M). It starts at `latents`."""
    z, rows = latents.copy(), np.arange(len(latents))
    first, second = np.zeros_like(z), np.zeros_like(z)
    short = evaluations <= 5  # too few steps to build up momentum
    keep, keep_square, rate = (0.5, 0.9, 0.2) if short else (0.8, 0.95, 0.3)
    best, slope = np.empty((2, count, *z.shape), np.float32)
    lowest = np.full((count, len(z)), np.inf, np.float32)
    for step in range(evaluations):
        now = np.rint(z)
        errors, gradient = evaluate(now)
        worst = lowest.argmax(axis=0)
        better = errors < lowest[worst, rows]
        at = worst[better], rows[better]
        best[at], slope[at], lowest[at] = now[better], gradient[better], errors[better]
        if step == evaluations - 1:
            break
        first += (1 - keep) * (gradient - first)
        second += (1 - keep_square) * (gradient * gradient - second)
        size = rate * (1 - step / (evaluations - 1)) / (1 - keep ** (step + 1))
        z -= size * first / (np.sqrt(second / (1 - keep_square ** (step + 1))) + 1e-6)
        np.clip(z, 0, top, out=z)
    return zip(best, slope, strict=True)
