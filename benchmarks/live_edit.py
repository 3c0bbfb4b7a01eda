"""What a live edit costs inside the pipeline, next to the plain generator's forward in the same run.

    python -m benchmarks.live_edit --model portraits

Prints one JSON line: median milliseconds of the edit (mask to picture, cached seed) and of each hop, of the generator's
uncut forward, and their ratio. The edit changes a little of the sample's own mask, as a pen does; `foreign` is the dearest case, a small
change of another sample's mask, whose places nearly all move.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np
import torch

from sisgen.conditions.mask import mask_condition
from sisgen.devices import keep_freed_memory
from sisgen.pipeline import Pipeline


def main() -> int:
    """Measure; edits and forwards take turns, so that a busy machine slows both alike."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="portraits")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--device")
    args = parser.parse_args()
    keep_freed_memory()  # as the app does
    pipe = Pipeline.from_pretrained(args.model, device=args.device)
    edits, forwards, hops = measure(pipe, args.rounds)
    foreign, forwards_beside, _ = measure(pipe, args.rounds, foreign=True)
    edit, forward = statistics.median(edits), statistics.median(forwards)
    result = {"edit_ms": edit, "forward_ms": forward}
    result |= {f"{name}_ms": statistics.median(times) for name, times in hops.items()}
    result |= {"edit_over_forward": edit / forward, "mapper_over_forward": result["proxy_ms"] / forward}
    result |= {"foreign_over_forward": statistics.median(foreign) / statistics.median(forwards_beside)}
    where = {"device": str(pipe.device), "threads": torch.get_num_threads(), "rounds": args.rounds}
    print(json.dumps({name: round(value, 3) for name, value in result.items()} | where))
    return 0


def measure(pipe: Pipeline, rounds: int, *, foreign: bool = False) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """Time edits of one seed's own mask, or of another one's, each with another small change, and uncut forwards."""
    seed = int(pipe.defaults["seed"])
    base = pipe.sample_labels([seed + 1 if foreign else seed])[0].numpy()
    generator = pipe.engine.generator
    ws = pipe.engine.recall([seed], float(pipe.defaults["truncation"])).ws
    edits: list[float] = []
    forwards: list[float] = []
    hops: dict[str, list[float]] = {}
    for k in range(rounds + 5):
        start = time.perf_counter()
        result = pipe(mask_condition(_edited(base, k), pipe.labels, pipe.resolution), seeds=[seed])
        middle = time.perf_counter()
        with torch.inference_mode():
            generator(ws)
        end = time.perf_counter()
        if k < 5:  # warm up
            continue
        edits.append((middle - start) * 1000)
        forwards.append((end - middle) * 1000)
        for name, value in result.timings.items():
            hops.setdefault(name, []).append(value)
    return edits, forwards, hops


def _edited(labels: np.ndarray, k: int) -> np.ndarray:
    edited = labels.copy()
    edited[8 + k % 40 : 14 + k % 40, 20:60] = k % int(labels.max() + 1)
    return edited


if __name__ == "__main__":
    raise SystemExit(main())
