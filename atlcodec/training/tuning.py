"""The last phase of training: an exact network learns to live with its rounding, behind frozen records.

    tune(network, loss, rows, measure, settings, folder)     Adam, one cycle of the learning rate

A folder holds the run: `checkpoint.pt`, written after each epoch, from which a stopped run resumes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from atlcodec import atomic
from atlcodec.errors import BadData
from atlcodec.training.exact_codec import Classifier
from atlcodec.training.layout import planes
from atlcodec.training.loop import cosine

Loss = Callable[[Tensor], Tensor]  # of some rows of the data


@dataclass(frozen=True)
class Tuning:
    """How long, and how fast, an exact network is tuned."""

    epochs: int = 12
    batch_size: int = 128
    learning_rate: float = 5e-4  # the highest one: it rises during a tenth of the run and falls along a cosine to 0
    seed: int = 0


RISE = 0.1


def decompressor_loss(network: nn.Module, latents: Tensor, images: Tensor) -> Loss:
    """Squared error of pixels in 0..1, between images uint8 (N, *shape) and what becomes of their latents, uint8 (N,
    M)."""

    def loss(rows: Tensor) -> Tensor:
        wanted = planes(images.index_select(0, rows))
        decoded = network(latents.index_select(0, rows).float())
        return functional.mse_loss(decoded / 256, wanted / 256)

    return loss


def head_loss(network: Classifier, latents: Tensor, labels: Tensor, smoothing: float = 0.0) -> Loss:
    """Cross-entropy with labels int64 (N,), or probabilities (N, classes), of latents uint8 (N, M)."""

    def loss(rows: Tensor) -> Tensor:
        logits = network(latents.index_select(0, rows).float()) * network.step
        return functional.cross_entropy(logits, labels.index_select(0, rows), label_smoothing=smoothing)

    return loss


def tune(
    network: nn.Module,
    loss: Loss,
    rows: int,
    measure: Callable[[], float],
    settings: Tuning,
    folder: Path,
    log: Callable[[str], None] = lambda _: None,
) -> list[float]:
    """Tune an exact network on so many rows of data. Returns what `measure` said at the start and after each epoch. The
    same call resumes a stopped run.

    Raises `BadData` if the folder holds a run with other settings or another network."""
    optimizer = torch.optim.Adam(network.parameters(), settings.learning_rate, fused=True)
    identity = f"{asdict(settings)} {rows} {fingerprint(network)}"
    measured = _resume(folder, identity, network, optimizer) or [_measured(network, measure)]
    log(f"start: {measured[0]:.4f}")
    batches = -(-rows // settings.batch_size)
    total = settings.epochs * batches
    for epoch in range(len(measured) - 1, settings.epochs):
        network.train()
        generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
        order = torch.split(torch.randperm(rows, generator=generator), settings.batch_size)
        for step, chosen in enumerate(order, epoch * batches):
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * cycle(step / total)
            value = loss(chosen)
            optimizer.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        measured.append(_measured(network, measure))
        log(f"epoch {epoch + 1} of {settings.epochs}: {measured[-1]:.4f}")
        _save(folder, identity, network, optimizer, measured)
    network.eval()
    return measured


def cycle(at: float) -> float:
    """The learning rate as a share of the highest one; `at` is 0..1."""
    return at / RISE if at < RISE else cosine(1.0, 0.0, (at - RISE) / (1 - RISE))


def fingerprint(network: nn.Module) -> str:
    """A hash of all numbers in a network."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode() + value.cpu().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def _measured(network: nn.Module, measure: Callable[[], float]) -> float:
    network.eval()
    return measure()


def _save(
    folder: Path, identity: str, network: nn.Module, optimizer: torch.optim.Optimizer, measured: list[float]
) -> None:
    state = {
        "identity": identity,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "measured": measured,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.file(folder / "checkpoint.pt") as file:
        torch.save(state, file)


def _resume(folder: Path, identity: str, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
    """Load what a stopped run left; returns what was measured so far, or nothing in a new folder."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return []
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["identity"] != identity:
        raise BadData(
            f"{folder}: holds a run with other settings or another network; take another folder, or delete it to "
            "start again"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    return [float(value) for value in state["measured"]]
