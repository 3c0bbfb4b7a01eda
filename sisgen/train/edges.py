"""Trainer of the edge network: BSDS500's contours, balanced as in HED and RCF, on a network that starts from SqueezeNet.

Contours that most annotators agree on count as such, places where nobody drew count as none, and what lies between is left out
(RCF, sec. 3.2). A Dice term on the last output keeps lines thin (Deng et al., ECCV 2018).
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from sisgen.data.bsds import BSDS
from sisgen.devices import describe_device, pick_device
from sisgen.io.configs import from_dict, read_json, to_dict
from sisgen.io.files import write_text
from sisgen.io.images import save_grid, to_uint8
from sisgen.nets.edges import EdgeConfig, EdgeNet, start_from_squeezenet
from sisgen.train.checkpoints import export_parts, load_part, training_notes
from sisgen.train.command import finish, start
from sisgen.train.descent import check_rate, cosine_factor, risen, set_rates
from sisgen.train.distributed import Processes
from sisgen.train.edge_data import CropConfig, EdgeData
from sisgen.train.ema import update_ema
from sisgen.train.loop import StepInfo

SPLITS = {"train": ("train",), "trainval": ("train", "val")}
LEARNING_RATE = 2e-3  # of new layers
SHOWN = 6  # pictures in a sample grid
SHOWN_SIDE = 320
LICENSE = "CC-BY-NC-4.0; BSDS500 is for non-commercial research and education only"


@dataclass(frozen=True, kw_only=True, slots=True)
class EdgeTrainConfig:
    """How the edge network is trained."""

    edges: EdgeConfig = field(default_factory=EdgeConfig)
    crops: CropConfig = field(default_factory=CropConfig)
    split: str = "train"
    seed: int = 0
    lr: float = LEARNING_RATE
    trunk_lr: float = 1e-4  # of SqueezeNet's; its first layer stays as it is
    weight_decay: float = 1e-3
    warmup: int = 400  # images over which the learning rates rise
    agreement: float = 0.35  # share of annotators from which a contour counts
    balance: float = 0.75  # power of the ratio of classes; 1 = as in HED
    dice: float = 0.3  # weight of the Dice term on the last output
    sides: float = 0.4  # weight of each coarser output
    ema: float = 600.0  # half-life of the averaged weights in images
    bf16: bool = False


def balanced_loss(logits: torch.Tensor, targets: torch.Tensor, config: EdgeTrainConfig) -> torch.Tensor:
    """Compare logits with contours: cross-entropy in which the rare class weighs more, and contours by their agreement.

    Args:
        logits: float [B, 1, H, W].
        targets: float [B, 1, H, W], the agreement in [0, 1], -1 outside the picture.
        config: `agreement` and `balance`.

    Returns:
        A number, the weighted mean.
    """
    contour, none = targets >= config.agreement, targets == 0
    counts = [part.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1) for part in (contour, none)]
    ratio = (counts[1] / counts[0]).clamp(1, 200) ** config.balance
    weights = torch.where(contour, ratio * targets, none.float())
    losses = F.binary_cross_entropy_with_logits(logits, contour.float(), reduction="none")
    return (losses * weights).sum() / weights.sum().clamp_min(1)


def dice_loss(logits: torch.Tensor, targets: torch.Tensor, config: EdgeTrainConfig) -> torch.Tensor:
    """One minus the Dice coefficient of every picture, over places that count: a number."""
    contour, counted = targets >= config.agreement, (targets >= config.agreement) | (targets == 0)
    probability = torch.sigmoid(logits) * counted
    shared = (probability * contour).sum(dim=(1, 2, 3))
    total = probability.square().sum(dim=(1, 2, 3)) + contour.sum(dim=(1, 2, 3))
    return (1 - (2 * shared + 1) / (total + 1)).mean()


class EdgeTask:
    """The work of one edge training; see `sisgen.train.loop.Task`."""

    name = "edges"

    def __init__(
        self,
        config: EdgeTrainConfig,
        data: EdgeData,
        device: torch.device | str = "cpu",
        *,
        squeezenet: Path | None = None,  # folder that the trunk starts from; None = random weights
    ) -> None:
        self.config, self.data = config, data
        self.processes = Processes()
        self.device = self.processes.device(torch.device(device))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            net = EdgeNet(config.edges)
        if squeezenet is not None:
            start_from_squeezenet(net, squeezenet)
            net.trunk.conv1.requires_grad_(False)
        self.net = net.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.net).eval().requires_grad_(False)
        old = [parameter for parameter in self.net.trunk.parameters() if parameter.requires_grad]
        new = [parameter for name, parameter in self.net.named_parameters() if not name.startswith("trunk.")]
        self.rates = [config.trunk_lr, config.lr]
        groups = [{"params": part, "lr": rate} for part, rate in zip((old, new), self.rates)]
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=config.weight_decay)

    def networks(self) -> Mapping[str, nn.Module]:
        """Name everything that a snapshot holds."""
        return {"edges": self.net, "edges_ema": self.average}

    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """Name the optimizers."""
        return {"edges": self.optimizer}

    def step(self, info: StepInfo) -> dict[str, float]:
        """Learn from one batch of crops."""
        config = self.config
        images, targets = (part.to(self.device) for part in self.data.crops(info.sample_ids, config.crops))
        rise = risen(info.images_seen, info.batch_size, config.warmup)
        set_rates(self.optimizer, self.rates, rise * cosine_factor(info.progress))
        self.net.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=config.bf16):
            outputs = self.net(images)
        last, *sides = (logits.float() for logits in outputs)
        entropy = balanced_loss(last, targets, config)
        dice = dice_loss(last, targets, config)
        loss = entropy + config.dice * dice + config.sides * sum(balanced_loss(side, targets, config) for side in sides)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.processes.average_gradients([p for p in self.net.parameters() if p.requires_grad])
        self.optimizer.step()
        update_ema(self.average, self.net, batch=info.batch_size, images_seen=info.images_seen, half_life=config.ema, ramp=0.1)
        return {"entropy": float(self.processes.average(entropy)), "dice": float(self.processes.average(dice))}

    @torch.no_grad()
    def save_samples(self, path: Path) -> None:
        """Draw rows of pictures, what their annotators agree on, and what the averaged network finds."""
        rows: list[list[torch.Tensor]] = [[], [], []]
        for index in range(min(SHOWN, len(self.data))):
            image, target = self.data.whole(index)
            found = self.average.read(image.to(self.device)).cpu()
            lines = [(2 * part.clamp(0, 1) - 1).expand_as(image) for part in (target, found)]
            for row, part in zip(rows, (image, *lines)):
                row.append(_middle(part, SHOWN_SIDE))
        save_grid(path, np.concatenate([to_uint8(torch.cat(row)) for row in rows]), len(rows[0]))


def _middle(images: torch.Tensor, side: int) -> torch.Tensor:
    """The middle square [1, 3, side, side], scaled where the picture is smaller."""
    height, width = images.shape[-2:]
    short = min(height, width, side)
    top, left = (height - short) // 2, (width - short) // 2
    return F.interpolate(images[..., top : top + short, left : left + short], size=(side, side), mode="nearest")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only this trainer takes."""
    parser.add_argument("--data", type=Path, required=True, help="BSDS500 as a .zip with {train,val,test}/ID.jpg and ID.png")
    parser.add_argument("--split", choices=sorted(SPLITS), default="train", help="trainval leaves nothing to choose by (default: train)")
    parser.add_argument("--squeezenet", type=Path, help="folder of SqueezeNet, whose features to start from (default: from scratch)")
    parser.add_argument("--start", type=Path, help="folder of an edge network to start from (default: none)")
    parser.add_argument("--lr", type=float, default=LEARNING_RATE, help="learning rate of new layers (default: %(default)s)")
    parser.add_argument("--trunk-lr", type=float, default=1e-4, help="learning rate of SqueezeNet's layers (default: %(default)s)")
    parser.add_argument(
        "--crop", type=int, choices=range(64, 513, 16), default=256, metavar="64..512", help="side of a crop (default: 256)"
    )
    parser.add_argument("--bf16", action="store_true", help="bfloat16, on a GPU or on a CPU that computes in it")
    parser.add_argument("--export", type=Path, help="folder to write the network to at the end (default: none)")


def main(args: argparse.Namespace) -> int:
    """Train as `python -m sisgen train edges` asks."""
    device = pick_device(args.device)
    check_rate(args.lr, LEARNING_RATE)
    data = EdgeData(BSDS(args.data), SPLITS[args.split], seed=args.seed)
    crops = CropConfig(size=args.crop)
    config = EdgeTrainConfig(crops=crops, split=args.split, seed=args.seed, lr=args.lr, trunk_lr=args.trunk_lr, bf16=args.bf16)
    task = EdgeTask(config, data, device, squeezenet=args.squeezenet)
    if args.start:
        for net in task.networks().values():
            load_part(args.start, "edges", net)
    seen = start(task, args, config, images=12_000, batch=4)
    if args.export and seen is not None:
        export_edges(args.export, task, seen, describe_device(device))
    return finish()


def export_edges(folder: str | Path, task: EdgeTask, images_seen: int, hardware: str) -> None:
    """Write the averaged network with its recipe and its card."""
    notes = {"split": task.config.split, "seed": task.config.seed, "images_seen": images_seen, "crop": task.config.crops.size}
    notes |= {"bf16": task.config.bf16, "hardware": hardware}
    content: dict[str, Any] = {"license": LICENSE, "edges": to_dict(task.config.edges)}
    content["training"] = training_notes(folder, "edges", notes)
    export_parts(folder, {"edges": task.average}, content)
    write_edge_card(folder)


def note_scores(folder: str | Path, scores: Mapping[str, Any]) -> None:
    """Add measured scores to the notes and the card of an exported network."""
    content = read_json(Path(folder) / "config.json")
    notes = {**content.get("training", {}).get("edges", {}), "scores": dict(scores)}
    export_parts(folder, {}, {"training": training_notes(folder, "edges", notes)})
    write_edge_card(folder)


def write_edge_card(folder: str | Path) -> None:
    """Write the CARD.md of an exported network from the notes in its config."""
    content = read_json(Path(folder) / "config.json")
    config, notes = from_dict(EdgeConfig, content["edges"], where=f"The edge network in '{folder}'"), content["training"]["edges"]
    with torch.device("meta"):
        size = sum(p.numel() for p in EdgeNet(config).parameters())
    words = [f"--split {notes['split']}", "--squeezenet checkpoints/squeezenet", f"--images {notes['images_seen']}"]
    words += [f"--crop {notes['crop']}", f"--seed {notes['seed']}", *(["--bf16"] if notes["bf16"] else [])]
    scores = notes.get("scores")
    lines = [
        "# Edge network: contours from pictures",
        "",
        "| | |",
        "|---|---|",
        "| What it is for | stands in for HED in the tab that turns photographs into edge maps, where nothing can be downloaded |",
        f"| Network | SqueezeNet v1.0 features (BSD-2-Clause), a full-resolution stem, top-down fusion; {size:,} parameters, fp16 |",
        f"| Training data | BSDS500 ({notes['split']}), Arbelaez et al., TPAMI 2011, UC Berkeley; no photograph ships |",
        "| Licence | **non-commercial** (CC BY-NC 4.0): BSDS500 is for non-commercial research and education |",
        f"| Images seen | {notes['images_seen']:,} crops of {notes['crop']} px |",
        f"| Command | `python -m sisgen train edges --data bsds500.zip {' '.join(words)} --out RUN --export FOLDER` |",
        f"| Hardware | {notes['hardware']} |",
    ]
    if scores:
        measured = ", ".join(f"{name.upper()} {scores[name]:.3f}" for name in ("ods", "ois", "ap"))
        how = "; three sizes and mirror images (`evaluate-edges --careful`; pages look once)" if scores.get("careful") else ""
        lines += [f"| BSDS500 {scores['split']}, {scores['pictures']} pictures{how} | {measured} |"]
    write_text(Path(folder) / "CARD.md", "\n".join([*lines, ""]))
