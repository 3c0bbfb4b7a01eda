"""Turns a trained model folder into one that can be shipped: defaults, seeds that show rare classes, revision, card."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sisgen.io.configs import read_json, write_json
from sisgen.io.files import write_text
from sisgen.pipeline import Pipeline
from sisgen.train.scores import merge_reports, score_lines

RARE = 0.6  # a class that fewer samples show gets a list of seeds
SHOWN = 0.004  # share of the picture from which on a class counts as shown


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseConfig:
    """What the trainers cannot know."""

    model: Path
    description: str
    license: str
    data: str  # one line for the card
    hardware: str
    commands: tuple[str, ...] = ()  # the recipe, one command a line
    truncation: float = 0.7
    seed: int = 0
    samples: int = 192  # seeds that are looked through for rare classes
    evaluations: tuple[Path, ...] = ()  # `evaluation.json` files of `sisgen evaluate`, of different measurements; none = no scores


def release(config: ReleaseConfig) -> Path:
    """Complete `config.json` and write `CARD.md`.

    Args:
        config: what to write.

    Returns:
        The card's path.

    Raises:
        CheckpointError: the folder is no whole model.
    """
    path = config.model / "config.json"
    content = read_json(path)
    content |= {"description": config.description, "license": config.license, "revision": revision_of(content["files"])}
    content["defaults"] = {"truncation": config.truncation, "seed": config.seed}
    write_json(path, content)
    content["class_seeds"] = find_class_seeds(Pipeline.from_pretrained(config.model, device="cpu"), config.samples)
    write_json(path, content)
    report = merge_reports([json.loads(path.read_text()) for path in config.evaluations])
    card = config.model / "CARD.md"
    write_text(card, write_card(config, content, report))
    return card


def revision_of(files: Mapping[str, str]) -> str:
    """Name a state of a model by its files' checksums."""
    return hashlib.sha256(json.dumps(dict(sorted(files.items()))).encode()).hexdigest()[:12]


@torch.no_grad()
def find_class_seeds(pipe: Pipeline, samples: int, each: int = 6) -> dict[str, list[int]]:
    """Find seeds whose plain samples show a class that many samples lack, the clearest first."""
    labels = pipe.sample_labels(range(samples))
    found = {}
    for index, name in enumerate(pipe.labels.names):
        area = (labels == index).float().mean(dim=(1, 2))
        if (area > SHOWN).float().mean() < RARE:
            best = area.argsort(descending=True)[:each]
            found[name] = [int(seed) for seed in best if area[seed] > SHOWN]
    return {name: seeds for name, seeds in found.items() if seeds}


def write_card(config: ReleaseConfig, content: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """Write a model card in Markdown from what the trainers and `sisgen evaluate` noted."""
    notes = content.get("training", {})
    segmenter = notes.get("segmenter", {})
    lines = [
        f"# {content['name']}",
        "",
        config.description,
        "",
        "| | |",
        "|---|---|",
        f"| Pictures | {content['generator']['resolution']} px, classes: {', '.join(content['labels']['names'])} |",
        f"| Training data | {config.data} |",
        f"| Licence of the weights | {config.license} |",
        f"| Pictures seen by the generator | {content.get('images_seen', 0):,} |",
        f"| Labelled samples behind the masks | {segmenter.get('labels', 'unknown')}, labelled by {segmenter.get('labelled_by', 'hand')} |",
        f"| Hardware | {config.hardware} |",
        f"| Revision | `{content['revision']}` |",
        "",
    ]
    if config.commands:
        lines += ["Recipe:", "", "```", *config.commands, "```", ""]
    lines += score_lines(report)
    return "\n".join(lines)
