"""What a generator of the official sizes (config-f, 30 million parameters) costs, with random weights: memory and time.

    python -m benchmarks.large_generators --resolution 1024 --what live

Prints one JSON line: the size of the weights, the highest memory of the work beyond them, and milliseconds of every round (the first
one makes the style sample; on a CPU, of processor time). The work is a live edit (mask to picture), or one step of a stage of
`sisgen adapt`, at the stage's own batch.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.devices import keep_freed_memory, pick_device
from sisgen.engines.models import Defaults, ModelConfig
from sisgen.engines.rearrange import RearrangeEngine
from sisgen.generators.stylegan2 import StyleGAN2, StyleGAN2Config, channels_by_rule
from sisgen.nets.reader import Reader, preset
from sisgen.nets.segmenter import Segmenter, SegmenterConfig
from sisgen.pipeline import Pipeline
from sisgen.proxy.clusters import FeatureClusters
from sisgen.proxy.mapper import MaskMapper, MaskMapperConfig
from sisgen.rearrange.rearranger import Rearranger
from sisgen.shapes import drawing_size
from sisgen.train.adaptation.sizes import AdaptSizes, sizes_for
from sisgen.train.fitting import proxy_config, rearranger_config
from sisgen.train.labelled_samples import label_samples
from sisgen.train.loop import StepInfo, Task
from sisgen.train.mapper import MapperTask, MapperTrainConfig
from sisgen.train.pairs import SampledPairs
from sisgen.train.reader import ReaderTask, ReaderTrainConfig
from sisgen.train.rearranger import RearrangerTask, RearrangerTrainConfig
from sisgen.train.segmenter import SegmenterTask, SegmenterTrainConfig
from sisgen.types import LabelSet

LABELS = LabelSet(names=tuple(f"class {i}" for i in range(8)), colors=tuple((i, i, i) for i in range(8)))
WORK = ("live", "rearranger", "segmenter", "reader", "mapper")


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--resolution", type=int, default=1024, choices=(256, 512, 1024))
    parser.add_argument("--what", choices=WORK, default="live")
    parser.add_argument("--batch", type=int, help="of a stage (default: its own)")
    words = "of the official widths (default: 1): memory of features goes with it, time with its square"
    parser.add_argument("--share", type=float, default=1.0, help=words)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--device")
    args = parser.parse_args()
    keep_freed_memory()
    device = pick_device(args.device)
    torch.manual_seed(0)
    pipe, sizes = build(args.resolution, device, args.share)
    work = prepare(args.what, pipe, sizes, args.batch)
    before = memory(device)
    # On a CPU what this process used of it, which others on the machine do not change; with one thread that is the time it takes.
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    times = []
    for _ in range(args.rounds):
        start = clock()
        work()
        times.append(round(1000 * (clock() - start)))
    megabytes = {"weights_mb": pipe.num_bytes / 1e6, "peak_mb": (memory(device, peak=True) - before) / 1e6}
    where = {"what": args.what, "resolution": args.resolution, "device": str(device), "threads": torch.get_num_threads()}
    print(json.dumps({name: round(value) for name, value in megabytes.items()} | {"ms": times} | where))
    return 0


def build(resolution: int, device: torch.device, share: float = 1.0) -> tuple[Pipeline, AdaptSizes]:
    """Make a whole model with random weights, `share` of the official widths."""
    widths = channels_by_rule(resolution, round(32768 * share), round(512 * share))
    sizes = StyleGAN2Config(resolution=resolution, z_dim=512, w_dim=512, num_mapping_layers=8, channels=widths)
    generator = StyleGAN2(sizes).requires_grad_(False).eval()
    plan, side = sizes_for(sizes, device.type), drawing_size(resolution)
    proxy = proxy_config(generator, plan.sources, plan.num_clusters)
    clusters = FeatureClusters(proxy)
    clusters.whitening.normal_()
    clusters.centroids.normal_()
    rearranger = Rearranger(replace(rearranger_config(generator, proxy, min(plan.sources)), tokens_per_cluster=0))
    config = MaskMapperConfig(num_labels=len(LABELS), num_clusters=plan.num_clusters, resolution=side, proxy_resolution=proxy.resolution)
    reader = Reader(type(preset("live", 2))(num_labels=len(LABELS), width=24, most=side))
    engine = RearrangeEngine(generator, clusters, rearranger, MaskMapper(config), reader).to(device)
    model = ModelConfig(
        format=1, name="random", labels=LABELS, generator=sizes, proxy=proxy, rearranger=rearranger.config,
        mappers={"mask": config}, reader=reader.config, files={}, defaults=Defaults(),
    )  # fmt: skip
    return Pipeline(model, engine, source="memory"), plan


def prepare(what: str, pipe: Pipeline, sizes: AdaptSizes, batch: int | None) -> Callable[[], object]:
    """Get everything ready that is not to be measured."""
    engine, generator, device = pipe.engine, pipe.engine.generator, pipe.device
    if what == "live":
        mask = np.random.default_rng(0).integers(0, len(LABELS), (16, 16)).repeat(16, 0).repeat(16, 1)
        return lambda: pipe(mask_condition(mask, LABELS, pipe.drawing_size), seeds=[0])
    batch = batch or getattr(sizes, what).batch
    info = StepInfo(step=1, sample_ids=tuple(range(batch)), batch_size=batch, images_seen=900, total_images=1000, seed=0)
    side, channels = pipe.drawing_size, [width for size, width in generator.config.channels.items() if int(size) <= pipe.drawing_size]
    segmenter = Segmenter(SegmenterConfig(num_labels=len(LABELS), channels=tuple(channels))).to(device)
    task: Task
    if what == "rearranger":
        engine.rearranger.requires_grad_(True)
        rearranging = RearrangerTrainConfig(rearranger=engine.rearranger.config)
        task = RearrangerTask(rearranging, generator, engine.clusters, engine.rearranger, None)
    elif what == "segmenter":
        samples = label_samples(generator, [0, 1], torch.randint(len(LABELS), (2, side, side)), None, 0.9)
        task = SegmenterTask(SegmenterTrainConfig(), samples, LABELS, device)
    elif what == "reader":
        task = ReaderTask(
            ReaderTrainConfig(reader=engine.reader.config), SampledPairs(generator, segmenter, seed=0), LABELS, device, held=1
        )
    else:
        task = MapperTask(MapperTrainConfig(mapper=engine.mapper.config), engine, segmenter, LABELS)
    return lambda: task.step(info)


def memory(device: torch.device, *, peak: bool = False) -> int:
    """Bytes in use, or the most since the last look: of the GPU, or of this process on Linux."""
    if device.type == "cuda":
        used = torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        return used
    if not peak:
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    found = re.search(rf"{'VmHWM' if peak else 'VmRSS'}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found.group(1))


if __name__ == "__main__":
    raise SystemExit(main())
