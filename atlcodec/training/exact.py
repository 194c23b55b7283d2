"""Networks of whole numbers, made from trained networks of the architecture `pca`: the decompressor and its heads.

    decompressor    latents -> two products with weights of 15 bits -> image in steps of 1/8 grey level, patch by patch
                    patches -> tokens -> mixing ... -> corrections in the same steps; their sum is the image
    head            latents for labels -> hidden 0..127 -> logits

Steps are chosen by what runs through the network on some records: see `calibrate`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec.errors import BadModel
from atlcodec.latents import Packing
from atlcodec.training.exact_path import FINE, ExactEnlarging, ExactPath, patch_order
from atlcodec.training.grid import MixChannels, MixTokens, Patches, Unpatches
from atlcodec.training.layers import Add, FixedLinear, Last, Scale, Standardise
from atlcodec.training.onnx_packing import pieces
from atlcodec.training.quantise import MOST, Columns, Operand, Product, active, rounded
from atlcodec.training.resample import Resample

GREY = 128  # grey levels are 1 in the mixers
PICTURE = Operand(shift=5, zero=40, low=True)  # -160 to 348 grey levels: the linear path overshoots
STREAM = Operand(shift=4, zero=64, low=True)  # 11 bits
TOKENS = Operand(shift=4, zero=64)


@dataclass(frozen=True)
class Form:
    """How wide the values in a decompressor are: how products take the picture, in steps of 1/8 grey level, and the
    stream. Mixing over tokens may take its high part alone: it costs 0.05 to 0.3 dB before tuning; over channels it
    would cost 1 dB."""

    picture: Operand = PICTURE
    stream: Operand = STREAM
    tokens: Operand = TOKENS


class ExactMix(nn.Module):
    """x + B relu(A x + a) over the channels or over the tokens, in steps of the stream."""

    def __init__(self, layer: MixChannels | MixTokens, operand: Operand) -> None:
        super().__init__()
        self.tokens = isinstance(layer, MixTokens)
        self.operand, (hidden, inputs) = operand, layer.weight.shape
        self.first = Product(layer.weight, layer.bias, Columns.of(inputs, operand))
        self.second = Product(layer.back, torch.zeros(inputs), Columns.of(hidden, Operand()))

    def forward(self, x: Tensor) -> Tensor:
        """(tokens, N, channels) -> the same."""
        if self.tokens:
            flat = x.reshape(len(x), -1)
            hidden = active(self.first.left(self.operand.parts(flat, 0)))
            branch = self.second.left(hidden)
        else:
            flat = x.reshape(-1, x.shape[-1])
            hidden = active(self.first(self.operand.parts(flat, 1)))
            branch = self.second(hidden)
        return rounded(flat + rounded(branch), *self.operand.limits).view(x.shape)


class ExactDecompressor(nn.Module):
    """The decompressor of the architecture `pca` as whole numbers. Only the mixers learn."""

    def __init__(self, network: nn.Sequential, packing: Packing, form: Form) -> None:
        super().__init__()
        linear, enlarging, grid, embed, mixing, out = parts(network)
        self.form, self.packing, self.grid, self.enlarging = form, packing, grid, None
        order = patch_order(grid) if enlarging is None else torch.arange(len(linear.weight))
        self.linear = ExactPath(linear, packing, order, form.picture)
        if enlarging is not None:
            self.enlarging = ExactEnlarging(enlarging, grid, form.picture)
        pixels, width = out.weight.shape
        self.embed = Product(embed.weight, embed.bias, Columns.of(pixels, form.picture))
        self.mixing = nn.ModuleList(
            ExactMix(layer, form.tokens if isinstance(layer, MixTokens) else form.stream) for layer in mixing
        )
        self.out = Product(out.weight, out.bias, Columns.of(width, form.stream))

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (N, M) -> pixels in 0..255, (N, C, H, W): whole numbers, with a gradient through the rounding."""
        return self.corrected(self.picture(latents))

    def picture(self, latents: Tensor) -> Tensor:
        """Latents (N, M) -> the picture of the linear path in steps, (N, tokens * pixels of a patch)."""
        picture: Tensor = self.linear(latents)
        return picture if self.enlarging is None else self.enlarging(picture)

    def corrected(self, picture: Tensor) -> Tensor:
        """The picture of the linear path -> pixels (N, C, H, W)."""
        grid = self.grid
        tokens = grid.rows * grid.columns
        patches = picture.view(len(picture), tokens, -1).transpose(0, 1).reshape(tokens * len(picture), -1)
        embedded = self.embed(self.form.picture.parts(patches, 1))
        x = rounded(embedded, *self.form.stream.limits).view(tokens, len(picture), -1)
        for mix in self.mixing:
            x = mix(x)
        corrections = self.out(self.form.stream.parts(x.reshape(len(patches), -1), 1))
        summed = patches + rounded(corrections)
        pixels = rounded(summed / FINE, 0, 255)
        return unpatched(pixels.view(tokens, len(picture), -1), grid)


class Cut(NamedTuple):
    """The pieces that records are cut into: see `onnx_packing.Pieces`."""

    latent: Tensor
    factor: Tensor
    top: Tensor


class ExactHead(nn.Module):
    """A classifier of dense layers and ReLUs as whole numbers: the latents for labels, or all of them -> logits. A
    latent that lies in two bytes comes as two columns."""

    def __init__(self, network: nn.Sequential, packing: Packing) -> None:
        super().__init__()
        before, dense = head_layers(network)
        self.packing, self.count = packing, before.last or packing.count
        self.cut = Cut(*(torch.from_numpy(each) for each in pieces(packing, MOST, self.first_byte)[:3]))
        skipped = packing.count - self.count  # latents that may share the first byte
        index, unit = self.cut.latent - skipped, self.cut.factor * (self.cut.latent >= skipped)
        columns = Columns(index.clamp(min=0), unit, self.cut.top)
        products = list[Product]()
        for layer in dense:
            if products:
                columns = Columns.of(layer.in_features, Operand())
                products.append(Product(layer.weight, layer.bias, columns))
            else:
                weight = layer.weight * before.factor
                products.append(Product(weight, layer.bias - weight @ before.mean, columns))
        self.products = nn.ModuleList(products)

    @property
    def first_byte(self) -> int:
        """Of a record, the first one that it reads."""
        return int(self.packing.bits[: self.packing.count - self.count].sum()) // 8

    def pieces(self, latents: Tensor) -> Tensor:
        """Latents (N, M) -> what of them lies in each byte, (N, P)."""
        latent, factor, top = self.cut
        found = (latents.flatten(1).index_select(1, latent) / factor.clamp(min=1)).floor()
        return found.remainder(top + 1)

    def forward(self, latents: Tensor) -> Tensor:
        """Latents (N, M) -> logits (N, classes), whole numbers: see `step`."""
        return self.logits(self.pieces(latents))

    def logits(self, x: Tensor) -> Tensor:
        *hidden, last = self.products
        for product in hidden:
            x = active(product(x))
        return rounded(last(x))

    @property
    def step(self) -> float:
        """What a logit of 1 is in logits of the network in floats."""
        last = self.products[-1]
        assert isinstance(last, Product)
        return float(last.step_out[0])


class _Before(NamedTuple):
    """What a head does before its first dense layer: how many latents it reads, the last ones, or 0 for all; and the
    mean and the factor of each."""

    last: int
    mean: Tensor
    factor: Tensor


def head_layers(network: nn.Sequential) -> tuple[_Before, list[nn.Linear]]:
    """Raises `BadModel` if a classifier cannot be made exact."""
    before, dense, active = _Before(0, torch.zeros(1), torch.ones(1)), list[nn.Linear](), 0
    for layer in network:
        match layer:
            case Last():
                before = before._replace(last=layer.count)
            case Scale() if not dense:
                before = before._replace(factor=before.factor * layer.factor)
            case Standardise() if not dense:
                before = before._replace(mean=layer.mean, factor=before.factor * layer.factor)
            case nn.Linear():
                dense.append(layer)
            case nn.ReLU():
                active += 1
            case nn.Flatten() | nn.Dropout():
                pass
            case _:
                raise BadModel(f"a head with {type(layer).__name__} cannot be made exact; take one of dense layers")
    if not dense or active != len(dense) - 1:
        raise BadModel("a head can be made exact if it has a ReLU between any two dense layers")
    mean = before.mean.expand(dense[0].in_features)
    return before._replace(mean=mean), dense


class Parts(NamedTuple):
    """The layers of a decompressor of the architecture `pca` that have weights, and its grid of patches."""

    linear: FixedLinear
    enlarging: Resample | None
    grid: Patches
    embed: nn.Linear
    mixing: list[MixChannels | MixTokens]
    out: nn.Linear


def parts(network: nn.Sequential) -> Parts:
    """Raises `BadModel` if a decompressor cannot be made exact."""
    match list(network):
        case [FixedLinear() as linear, nn.Unflatten(), *between, Add() as add] if len(between) < 2:
            match [layer for layer in add.beside if not isinstance(layer, Scale)]:
                case [Patches() as grid, nn.Linear() as embed, *others, nn.Linear() as out, Unpatches()]:
                    mixing = [layer for layer in others if isinstance(layer, MixChannels | MixTokens)]
                    resampling = [layer for layer in between if isinstance(layer, Resample)]
                    if len(mixing) == len(others) and len(resampling) == len(between):
                        return Parts(linear, resampling[0] if between else None, grid, embed, mixing, out)
    raise BadModel("only a decompressor of the architecture pca can be made exact so")


def unpatched(x: Tensor, grid: Patches) -> Tensor:
    """(tokens, N, C * pixels of a patch) -> (N, C, H, W)."""
    x = x.permute(1, 2, 0).reshape(x.shape[1], x.shape[2], grid.rows, grid.columns)
    images: Tensor = functional.pixel_shuffle(x, grid.size)[:, :, : grid.height, : grid.width]
    return images
