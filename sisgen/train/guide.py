"""What classes ask of pictures while the blocks behind the cut learn: masks that drive samples, and the classes that come back.

Samples are driven as people will drive them: by what the model's mask mapper makes of classes. These are read from pictures, some of them
composed to masks that no picture has, and the picture that follows must read as what was asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from sisgen.io.configs import from_dict, read_json
from sisgen.nets.reader import Reader
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig, whole_mask
from sisgen.train.checkpoints import load_part
from sisgen.train.compositions import compose_some
from sisgen.train.judges import load_reader
from sisgen.train.label_loss import class_weights, label_loss
from sisgen.train.loop import generator_for

COMPOSED_STREAM = 40  # of `generator_for`


@dataclass(frozen=True, slots=True)
class Guide:
    """The way from pictures to classes, and from classes to proxy masks.

    Attributes:
        reader: the model's own.
        mapper: the model's mask mapper.
        knows_pictures: the reader reads training pictures as well as samples.
        composed: share of the masks that are composed.
    """

    reader: Reader
    mapper: MaskMapper
    knows_pictures: bool = True
    composed: float = 0.3

    @torch.no_grad()
    def read(self, pictures: torch.Tensor) -> torch.Tensor:
        """Read classes int64 [B, H, W], at the reader's resolution, from pictures [B, 3, H, W]."""
        return self.reader.read(pictures)

    def compose(self, labels: torch.Tensor, seed: int, sample_ids: Sequence[int]) -> torch.Tensor:
        """Compose some of the masks int64 [B, H, W] of samples with these running ids."""
        sources = [generator_for(seed, i, stream=COMPOSED_STREAM) for i in sample_ids]
        chosen = [float(torch.rand(1, generator=g)) < self.composed for g in sources]
        return compose_some(labels, self.mapper.config.num_labels, sources, chosen)

    @torch.no_grad()
    def proxy_of(self, labels: torch.Tensor) -> torch.Tensor:
        """Map classes int64 [B, H, W] to proxy masks, probabilities [B, K, h, w]."""
        size = self.mapper.config.resolution
        if labels.shape[-1] != size:
            labels = F.interpolate(labels[:, None].float(), size, mode="nearest")[:, 0].long()
        return self.mapper.read(whole_mask(labels, self.mapper.config.num_labels)).probs

    def loss(self, pictures: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Tell how far pictures [B, 3, H, W] are from reading as classes int64 [B, H, W]."""
        weights = class_weights(labels, self.mapper.config.num_labels, 0.3).to(labels.device)
        return label_loss(self.reader(pictures.clamp(-1.1, 1.1)), labels, weights, 0.5)


def load_guide(model: Path, device: torch.device, *, knows_pictures: bool = True) -> Guide | None:
    """Load a guide from a model's folder; `None` where it has no reader or no mask mapper."""
    content = read_json(model / "config.json")
    if "reader" not in content or "mask" not in content.get("mappers", {}):
        return None
    mapper = MaskMapper(from_dict(MaskMapperConfig, content["mappers"]["mask"], where="The mask mapper"))
    load_part(model, "mapper_mask", mapper)
    reader, _ = load_reader(model)
    for part in (reader, mapper):
        part.to(device=device).eval().requires_grad_(False)
    return Guide(reader, mapper, knows_pictures)
