"""`sisgen ablate proxy`: which features to cluster and into how many clusters, measured before anything is trained."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import Parser, count, number, seed
from sisgen.hub import DEFAULT_MODEL

if TYPE_CHECKING:
    from sisgen.train.ablation import ProxyScore


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser("ablate", help="compare choices before training", description="Compare choices before training.")
    ablations = parser.add_subparsers(title="ablations", dest="ablation", metavar="ABLATION", required=True, parser_class=Parser)
    proxy = ablations.add_parser(
        "proxy",
        help="features and number of clusters",
        description="Compare features and numbers of clusters by how purely clusters own classes.",
    )
    proxy.add_argument("--model", default=DEFAULT_MODEL, help="model with a generator (default: %(default)s)")
    proxy.add_argument("--reader", type=Path, help="folder of the reader that names classes (default: the shipped judge a)")
    proxy.add_argument(
        "--sources", type=sources, nargs="+", default=(), metavar="32,64", help="feature resolutions that are joined (default: usual ones)"
    )
    proxy.add_argument("--clusters", type=count, nargs="+", default=(16, 24, 32, 48), metavar="K", help="default: 16 24 32 48")
    proxy.add_argument("--samples", type=count, default=64, help="pictures that are scored (default: %(default)s)")
    proxy.add_argument("--fit-samples", type=count, default=256, help="pictures that k-means sees (default: %(default)s)")
    proxy.add_argument("--truncation", type=number(0.0, 1.5), default=0.8, help="psi of all pictures (default: %(default)s)")
    proxy.add_argument("--seed", type=seed, default=0, help="of k-means (default: %(default)s)")
    proxy.add_argument("--out", type=Path, required=True, help="folder that proxy.json is written to")
    proxy.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    proxy.set_defaults(run=run)


def sources(text: str) -> tuple[int, ...]:
    """Read feature resolutions: "64" or "32,64"."""
    sizes = tuple(sorted({int(part) if part.isascii() and part.isdigit() else 0 for part in text.split(",")}))
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"resolutions like 32,64 were expected, but it is {text[:30]}")
    return sizes


def run(args: argparse.Namespace) -> int:
    """Measure, print the table, write `proxy.json`.

    Raises:
        SisgenError: the model, the reader or an argument cannot be used.
    """
    from tqdm import tqdm

    from sisgen.devices import pick_device
    from sisgen.io.configs import to_dict, write_json
    from sisgen.train.ablation import ProxyAblationConfig, ablate_proxy, choose, default_sources
    from sisgen.train.checkpoints import load_generator
    from sisgen.train.evaluation.main import shipped_folder
    from sisgen.train.judges import load_reader

    device = pick_device(args.device)
    generator = load_generator(args.model).to(device)
    reader, label_set = load_reader(args.reader or shipped_folder("readers") / "a", device)
    config = ProxyAblationConfig(
        sources=tuple(args.sources) or default_sources(generator.config.resolution),
        clusters=tuple(args.clusters),
        samples=args.samples,
        fit_samples=args.fit_samples,
        psi=args.truncation,
        seed=args.seed,
    )
    pictures = len(config.sources) * (config.samples + config.fit_samples)
    with tqdm(total=pictures, unit="picture", disable=None) as bar:
        scores, area = ablate_proxy(generator, reader, label_set, config, bar.update)
    best = choose(scores)
    report = {"model": str(args.model), "settings": to_dict(config), "area": area, "best": to_dict(best)}
    write_json(args.out / "proxy.json", report | {"scores": [to_dict(score) for score in scores]})
    print_table(scores, area)
    words = " ".join(map(str, best.sources))
    print(f"Written to {args.out}: proxy.json. The best: sisgen train rearranger --sources {words} --clusters {best.num_clusters}")
    return 0


def print_table(scores: Sequence[ProxyScore], area: Mapping[str, float]) -> None:
    """Print IoU a class; a class of at least 0.3% of the area that owns no cluster is marked with an exclamation mark."""
    names = [name for name in area if any(name in score.per_class for score in scores)]
    print(f"{'sources':>10}{'K':>5}{'mIoU':>7}  " + "".join(f"{name[:9]:>10}" for name in names))
    print(f"{'area, %':>22}  " + "".join(f"{area[name]:>10.1f}" for name in names))
    for score in scores:
        cells = [f"{score.per_class[name]:.1f}" + ("!" if name in score.unowned else " ") for name in names]
        head = f"{','.join(map(str, score.sources)):>10}{score.num_clusters:>5}{score.miou:>7.1f}"
        print(f"{head}  " + "".join(f"{cell:>10}" for cell in cells))
    if any(score.unowned for score in scores):
        print("! covers at least 0.3% of the area and owns no cluster: it could not be drawn.")
