"""Where an adaptation's labels come from: masks that a person painted on samples, or a reader that stands in for the person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sisgen.errors import InputError, TrainingError
from sisgen.generators.stylegan2 import StyleGAN2
from sisgen.io.configs import from_dict, read_json
from sisgen.io.files import sha256_of
from sisgen.io.labels import check_label_set, read_palette
from sisgen.nets.reader import Reader
from sisgen.train.adaptation.settings import AdaptConfig
from sisgen.train.adaptation.state import key_of
from sisgen.train.judges import load_reader
from sisgen.train.labelled_samples import LabelledSamples, label_samples
from sisgen.train.segmenter import read_masks
from sisgen.types import LabelSet


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelSource:
    """Labels of a few samples.

    Attributes:
        label_set: their classes.
        seeds: of the samples.
        masks: int64 [N, H, W] that a person painted; `None` leaves it to `annotator`.
        annotator: reader that labels; `None` where a person did.
        words: who labelled, for the card.
        key: names all of it.
    """

    label_set: LabelSet
    seeds: tuple[int, ...]
    masks: torch.Tensor | None
    annotator: Reader | None
    words: str
    key: str

    def samples(self, generator: StyleGAN2, psi: float) -> LabelledSamples:
        """Make the labelled samples."""
        return label_samples(generator, self.seeds, self.masks, self.annotator, psi)


def open_labels(config: AdaptConfig, size: int, device: torch.device) -> LabelSource:
    """Open masks or annotator.

    Args:
        config: of the run.
        size: side of the generator's labels, `drawing_size` of its pictures.
        device: where the annotator runs.

    Raises:
        TrainingError: not exactly one of them was given, or there are no masks.
        InputError: a mask or palette cannot be used, or the classes are unknown.
        CheckpointError: the annotator cannot be used.
    """
    if (config.masks is None) == (config.annotator is None):
        raise TrainingError("Adapting needs either painted masks or an annotator, but both or neither came; give one of them.")
    if config.annotator is not None:
        return _annotated(config, config.annotator, device)
    assert config.masks is not None
    label_set = check_label_set(_classes(config, config.masks))
    seeds, masks = read_masks(config.masks, label_set, size)
    sums = {str(seed): sha256_of(path) for seed, path in _files(config.masks).items()}
    key = key_of("masks", sums, label_set.names, config.psi)
    return LabelSource(label_set=label_set, seeds=tuple(seeds), masks=masks, annotator=None, words="painted masks", key=key)


def _annotated(config: AdaptConfig, folder: Path, device: torch.device) -> LabelSource:
    annotator, label_set = load_reader(folder, device)
    if config.label_set is not None and config.label_set.names != label_set.names:
        raise InputError(
            f"The annotator '{folder}' names {', '.join(label_set.names)}, but other classes were asked for; paint masks instead."
        )
    seeds = tuple(range(config.labels))
    key = key_of("annotator", sha256_of(folder / "reader.safetensors"), seeds, label_set.names, config.psi)
    words = "the reader in " + folder.name
    return LabelSource(label_set=label_set, seeds=seeds, masks=None, annotator=annotator, words=words, key=key)


def _classes(config: AdaptConfig, masks: Path) -> LabelSet:
    """The classes that were asked for, else those of the masks' palette, else the model's own."""
    if config.label_set is not None:
        return config.label_set
    if (masks / "palette.json").is_file():
        return read_palette(masks / "palette.json")
    content = read_json(config.model / "config.json")
    if "labels" not in content:
        words = "put a palette.json beside the masks or name the classes"
        raise InputError(f"The classes of the masks in '{masks}' must be known, but the model '{config.model}' has none; {words}.")
    return from_dict(LabelSet, content["labels"], where=f"The label set of '{config.model}'")


def _files(folder: Path) -> dict[int, Path]:
    return {int(path.stem): path for path in sorted(folder.glob("*.png")) if path.stem.isdigit()}
