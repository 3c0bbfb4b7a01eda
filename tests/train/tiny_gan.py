"""A tiny GAN training, real in every part; as a program (`tiny_gan.py OUT IMAGES`) it prints one line of losses a step."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from sisgen.generators.stylegan2 import StyleGAN2Config
from sisgen.train.gan import GANConfig, GANTask
from sisgen.train.loop import LoopConfig, StepInfo, run_loop

SIZES = StyleGAN2Config(resolution=16, z_dim=8, w_dim=8, num_mapping_layers=2, channels={"4": 8, "8": 8, "16": 8})
BATCH = 8


class Blots:
    """Pictures of one bright square each, by index."""

    def __len__(self) -> int:
        return 40

    def images(self, indices: Sequence[int]) -> torch.Tensor:
        pictures = torch.full((len(indices), 3, 16, 16), -0.8)
        for picture, index in zip(pictures, indices):
            left, top = index % 8, index // 8
            picture[index % 3, top : top + 7, left : left + 7] = 0.9
        return pictures


def make_task(**changes: object) -> GANTask:
    """Make a GAN whose adaptive augmentation is on from the start, so that all randomness is used."""
    torch.set_num_threads(1)
    task = GANTask(GANConfig(generator=SIZES, r1_interval=2, ada_target=0.6, **changes), Blots())
    task.augment.p.fill_(0.4)
    return task


class Printed(GANTask):
    """Prints the losses of every step."""

    def step(self, info: StepInfo) -> dict[str, float]:
        stats = super().step(info)
        print(json.dumps({"step": info.step, **stats}), flush=True)
        return stats


if __name__ == "__main__":
    printed = make_task()
    printed.__class__ = Printed
    run_loop(printed, LoopConfig(out=Path(sys.argv[1]), images=int(sys.argv[2]), batch=BATCH, snapshot_minutes=0))
