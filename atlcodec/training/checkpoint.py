"""The folder of a run: `checkpoint.pt`, from which a stopped run resumes, and `metrics.jsonl`, its steps."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from atlcodec import atomic
from atlcodec.errors import BadData
from atlcodec.training.loop import Optimizers
from atlcodec.training.settings import Settings


@dataclass(frozen=True)
class Step:
    """One line of metrics.jsonl: an epoch and its mean loss, or a measurement (PSNR in dB, accuracy 0..1)."""

    name: str
    domain: int
    value: float
    seconds: float


def save(
    folder: Path, settings: Settings, fingerprint: str, nets: nn.Module, optimizers: Optimizers, steps: list[Step]
) -> None:
    """Write both files. After a crash at any time, each of them is whole. `fingerprint` is a hash of the recipe and the
    data."""
    state = {
        "settings": asdict(settings),
        "recipe": fingerprint,
        "steps": [asdict(step) for step in steps],
        "networks": nets.state_dict(),
        "optimizers": optimizers.state_dict(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with atomic.file(folder / "checkpoint.pt") as file:
        torch.save(state, file)
    with atomic.file(folder / "metrics.jsonl") as file:
        file.writelines(json.dumps(asdict(step)).encode() + b"\n" for step in steps)


def resume(folder: Path, settings: Settings, fingerprint: str, nets: nn.Module, optimizers: Optimizers) -> list[Step]:
    """Load networks and optimisers from a folder, and return the steps done so far: none in a new folder.

    Raises `BadData` if the checkpoint was made with other settings or another recipe."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return []
    state: dict[str, Any] = torch.load(path, map_location=settings.device, weights_only=True)
    saved = {**asdict(Settings()), **state["settings"]}  # settings added after the run started have their defaults
    saved["device"] = settings.device  # a run may go on on another one
    saved["floats"] = settings.floats  # it may end otherwise
    if (saved, state["recipe"]) != (asdict(settings), fingerprint):
        raise BadData(
            f"{folder}: holds a run with other settings or data; take another folder, or delete it to start again"
        )
    nets.load_state_dict(state["networks"])
    optimizers.load_state_dict(state["optimizers"])
    return [Step(**step) for step in state["steps"]]
