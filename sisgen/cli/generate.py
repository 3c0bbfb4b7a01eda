"""`sisgen generate`: masks in, pictures out, for one mask, a folder of masks, or no mask at all."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import number, seed
from sisgen.cli.photos import read_photo
from sisgen.errors import InputError, SisgenError
from sisgen.hub import DEFAULT_MODEL
from sisgen.hub.bar import download_bar

if TYPE_CHECKING:
    from sisgen.inversion.inversion import Inversion
    from sisgen.pipeline import Pipeline

MASK_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
PHOTOS = ("style", "exemplar")  # arguments that name a photograph
SEEDS_AT_ONCE = 8
ERRORS_FILE = "errors.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One mask and the pictures to make from it.

    Attributes:
        mask: the mask's file; `None` makes plain samples.
        outputs: seed -> the PNG to write.
    """

    mask: Path | None
    outputs: dict[int, Path]


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Make pictures from one mask or a folder of masks."
    parser = subparsers.add_parser("generate", help="make pictures from masks", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    parser.add_argument("--revision", help="commit, tag or branch of a model on the Hub (default: the newest)")
    parser.add_argument("--mask", type=Path, help="mask file, or a folder of them; without it, plain samples")
    words = "take the style of this photograph: a picture, or a file of `sisgen invert`"
    parser.add_argument("--style", type=Path, metavar="FILE", help=words)
    parser.add_argument("--exemplar", type=Path, metavar="FILE", help="take the shape of this photograph; files as for --style")
    parser.add_argument("--seeds", type=seed, nargs="+", default=[0], metavar="SEED", help="one picture a seed and mask (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures (default: %(default)s)")
    parser.add_argument("--truncation", type=number(0.0, 1.5), help="0 typical .. 1 varied (default: the model's)")
    parser.add_argument("--strength", type=number(0.0, 1.0), default=1.0, help="0 plain sample .. 1 follows the mask (default: 1)")
    parser.add_argument("--overwrite", action="store_true", help="make pictures again that exist already")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the pictures.

    Returns:
        0, or 1 when some masks of a folder failed; these are listed in `errors.jsonl`.

    Raises:
        SisgenError: nothing can be made at all, or the only mask cannot be used.
    """
    if args.mask is not None and args.exemplar is not None:
        raise InputError("The shape comes from --mask or from --exemplar, but both were given; leave one out.")
    jobs = plan_jobs(args.mask, args.seeds, args.out, overwrite=args.overwrite)
    skipped = len(unique(args.seeds)) * len(jobs) - sum(len(job.outputs) for job in jobs)

    from sisgen.io.images import guard_decoders
    from sisgen.pipeline import Pipeline

    guard_decoders()
    with download_bar() as report:
        pipe = Pipeline.from_pretrained(args.model, device=args.device, revision=args.revision, report=report)
    photos = {name: read_photo(pipe, path, f"--{name}") for name in PHOTOS if (path := getattr(args, name)) is not None}
    errors = run_jobs(pipe, jobs, args, photos, one_mask=args.mask is None or not args.mask.is_dir())
    report_errors(args.out, errors)
    written = sum(len(job.outputs) for job in jobs) - sum(entry["pictures"] for entry in errors)
    print(f"{written} pictures written to {args.out}, {skipped} skipped since they exist, {len(errors)} masks failed.")
    return 1 if errors else 0


def unique(seeds: Sequence[int]) -> list[int]:
    """Drop seeds that stand twice, in order."""
    return list(dict.fromkeys(seeds))


def plan_jobs(mask: Path | None, seeds: Sequence[int], out: Path, *, overwrite: bool) -> list[Job]:
    """Decide which pictures are to be made, before anything slow is loaded.

    Raises:
        InputError: the mask is missing, the folder holds none, or `out` cannot take pictures.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, but '{out}' is a file; choose another name.")
    masks = _find_masks(mask)
    if mask is not None and mask.is_dir() and mask.resolve() == out.resolve():
        raise InputError(f"--out must differ from the folder of masks '{mask}'; pictures would be taken for masks next time.")
    stems = [path.stem for path in masks if path is not None]
    jobs = []
    for path in masks:
        stem = "sample" if path is None else path.stem if stems.count(path.stem) == 1 else path.name.replace(".", "_")
        outputs = {sample: out / f"{stem}_seed{sample}.png" for sample in unique(seeds)}
        jobs.append(Job(mask=path, outputs={sample: file for sample, file in outputs.items() if overwrite or not file.exists()}))
    return jobs


def run_jobs(
    pipe: Pipeline, jobs: Sequence[Job], args: argparse.Namespace, photos: Mapping[str, Inversion], *, one_mask: bool
) -> list[dict[str, Any]]:
    """Make all pictures; a failed mask of a folder does not stop the others.

    Returns:
        one entry a failed mask: its file, the sentence, and how many pictures it was meant for.
    """
    from tqdm import tqdm

    errors: list[dict[str, Any]] = []
    with tqdm(total=sum(len(job.outputs) for job in jobs), unit="picture", disable=None) as bar:
        for job in jobs:
            try:
                run_job(pipe, job, photos, truncation=args.truncation, strength=args.strength)
            except SisgenError as error:
                if one_mask:
                    raise
                errors.append({"file": str(job.mask), "error": str(error), "pictures": len(job.outputs)})
            bar.update(len(job.outputs))
    return errors


def run_job(pipe: Pipeline, job: Job, photos: Mapping[str, Inversion], *, truncation: float | None = None, strength: float = 1.0) -> None:
    """Make the pictures of one mask and write them, each with its settings in the PNG's text.

    Args:
        pipe: the model.
        job: the mask and where its pictures go.
        photos: "style" and "exemplar", where they are given.
        truncation: psi; `None` takes the model's own.
        strength: 0 plain sample, 1 follows the mask.

    Raises:
        SisgenError: the mask cannot be used.
    """
    from sisgen.conditions.mask import crop_box, mask_condition
    from sisgen.io.images import save_png, to_uint8
    from sisgen.io.labels import read_labels

    if not job.outputs:
        return
    condition, box = None, (0, 0, pipe.resolution, pipe.resolution)
    if "exemplar" in photos:
        condition = pipe.exemplar(photos["exemplar"])
    if job.mask is not None:
        labels = read_labels(job.mask, pipe.labels)
        condition = mask_condition(labels, pipe.labels, pipe.resolution)
        box = crop_box(labels.shape[0], labels.shape[1], pipe.resolution)
    seeds = list(job.outputs)
    top, left, bottom, right = box
    for start in range(0, len(seeds), SEEDS_AT_ONCE):
        chosen = seeds[start : start + SEEDS_AT_ONCE]
        result = pipe(condition, seeds=chosen, truncation=truncation, strength=strength, style=photos.get("style"))
        for sample, image in zip(chosen, to_uint8(result.images[..., top:bottom, left:right])):
            settings = {**result.settings, "seed": sample, "mask": job.mask.name if job.mask else None}
            save_png(job.outputs[sample], image, {"sisgen": json.dumps(settings)})


def report_errors(out: Path, errors: Sequence[dict[str, Any]]) -> None:
    """Write `errors.jsonl`, or remove an old one when nothing failed this time."""
    from sisgen.io.files import write_text

    path = out / ERRORS_FILE
    if errors:
        write_text(path, "".join(json.dumps({"file": entry["file"], "error": entry["error"]}) + "\n" for entry in errors))
    else:
        path.unlink(missing_ok=True)


def _find_masks(mask: Path | None) -> list[Path | None]:
    if mask is None:
        return [None]
    if not mask.is_dir():
        if not mask.exists():
            raise InputError(f"The mask '{mask}' does not exist; check the path.")
        return [mask]
    found = sorted(path for path in mask.iterdir() if path.suffix.lower() in MASK_SUFFIXES and not path.name.startswith("."))
    if not found:
        raise InputError(f"The folder '{mask}' must hold masks ({', '.join(MASK_SUFFIXES)}), but it holds none; check the path.")
    return list(found)
