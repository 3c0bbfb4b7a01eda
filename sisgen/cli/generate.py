"""`sisgen generate`: drawings in, pictures out, for one drawing of any kind, several together, folders of them, or none at all."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sisgen.cli.arguments import number, seed
from sisgen.cli.drawings import KINDS, DrawingReader, add_drawing_arguments
from sisgen.cli.styles import add_style_arguments, collect_regions, read_style
from sisgen.errors import InputError, SisgenError
from sisgen.hub import DEFAULT_MODEL
from sisgen.hub.bar import download_bar

if TYPE_CHECKING:
    from sisgen.engines.request import GivenStyle
    from sisgen.pipeline import Pipeline
    from sisgen.types import Condition

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SEEDS_AT_ONCE = 8
ERRORS_FILE = "errors.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """What is drawn together, and the pictures to make from it.

    Attributes:
        drawings: kind -> its file; `None` for a file whose partner in another folder is missing. Empty makes plain samples.
        outputs: seed -> the PNG to write.
    """

    drawings: dict[str, Path | None]
    outputs: dict[int, Path]

    @property
    def name(self) -> str:
        """The files, for messages."""
        return ", ".join(str(path) for path in self.drawings.values() if path is not None)


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Make pictures from drawings: one file or a folder a kind; without any, plain samples. Files of several folders meet by name."
    parser = subparsers.add_parser("generate", help="make pictures from drawings", description=words)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name, folder, zip, address or Hub id (default: %(default)s)")
    parser.add_argument("--revision", help="commit, tag or branch of a model on the Hub (default: the newest)")
    add_drawing_arguments(parser)
    add_style_arguments(parser)
    parser.add_argument("--seeds", type=seed, nargs="+", default=[0], metavar="SEED", help="one picture a seed and drawing (default: 0)")
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the pictures (default: %(default)s)")
    parser.add_argument("--truncation", type=number(0.0, 1.5), help="0 typical .. 1 varied (default: the model's)")
    parser.add_argument("--strength", type=number(0.0, 1.0), default=1.0, help="0 plain sample .. 1 follows the drawing (default: 1)")
    parser.add_argument("--overwrite", action="store_true", help="make pictures again that exist already")
    parser.add_argument("--device", help="cpu, cuda or cuda:N (default: CUDA where it works)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the pictures.

    Returns:
        0, or 1 when some drawings of a folder failed; these are listed in `errors.jsonl`.

    Raises:
        SisgenError: nothing can be made at all, or the only drawing cannot be used.
    """
    given = {kind: path for kind in KINDS if (path := getattr(args, kind)) is not None}
    if args.weights is not None and len(args.weights) != len(given):
        raise InputError(f"--weights must hold one number a drawing, but it holds {len(args.weights)} for {len(given)}; give as many.")
    regions = collect_regions(args.region)
    jobs = plan_jobs(given, args.seeds, args.out, overwrite=args.overwrite)
    skipped = len(unique(args.seeds)) * len(jobs) - sum(len(job.outputs) for job in jobs)

    from sisgen.io.images import guard_decoders
    from sisgen.pipeline import Pipeline

    guard_decoders()
    with download_bar() as report:
        pipe = Pipeline.from_pretrained(args.model, device=args.device, revision=args.revision, report=report)
    style = read_style(pipe, args.style, regions)
    errors = run_jobs(pipe, jobs, args, style, single=not any(path.is_dir() for path in given.values()))
    report_errors(args.out, errors)
    written = sum(len(job.outputs) for job in jobs) - sum(entry["pictures"] for entry in errors)
    print(f"{written} pictures written to {args.out}, {skipped} skipped since they exist, {len(errors)} drawings failed.")
    return 1 if errors else 0


def unique(seeds: Sequence[int]) -> list[int]:
    """Drop seeds that stand twice, in order."""
    return list(dict.fromkeys(seeds))


def plan_jobs(given: Mapping[str, Path], seeds: Sequence[int], out: Path, *, overwrite: bool) -> list[Job]:
    """Decide which pictures are to be made, before anything slow is loaded.

    Args:
        given: kind -> a file, or a folder of files. Files of several folders meet by their names, without suffix; a single file goes
            with each of them.
        seeds: one picture a seed and job.
        out: folder of the pictures.
        overwrite: make those again that exist.

    Raises:
        InputError: a file is missing, a folder holds none, or `out` cannot take pictures.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"--out must be a folder, but '{out}' is a file; choose another name.")
    for kind, path in given.items():
        if path.is_dir() and path.resolve() == out.resolve():
            raise InputError(f"--out must differ from the folder of --{kind}, '{path}'; pictures would be taken for drawings next time.")
    jobs = []
    for stem, drawings in _match({kind: _find_files(kind, path) for kind, path in given.items()}, given).items():
        outputs = {sample: out / f"{stem}_seed{sample}.png" for sample in unique(seeds)}
        jobs.append(Job(drawings=drawings, outputs={sample: file for sample, file in outputs.items() if overwrite or not file.exists()}))
    return jobs


def run_jobs(pipe: Pipeline, jobs: Sequence[Job], args: argparse.Namespace, style: GivenStyle, *, single: bool) -> list[dict[str, Any]]:
    """Make all pictures; a failed drawing of a folder does not stop the others.

    Returns:
        one entry a failed drawing: its file, the sentence, and how many pictures it was meant for.
    """
    from tqdm import tqdm

    errors: list[dict[str, Any]] = []
    low, high = args.canny_thresholds
    reader = DrawingReader(pipe, low=low, high=high)
    with tqdm(total=sum(len(job.outputs) for job in jobs), unit="picture", disable=None) as bar:
        for job in jobs:
            try:
                run_job(reader, job, style, weights=args.weights, truncation=args.truncation, strength=args.strength)
            except SisgenError as error:
                if single:
                    raise
                errors.append({"file": job.name, "error": str(error), "pictures": len(job.outputs)})
            bar.update(len(job.outputs))
    return errors


def run_job(
    reader: DrawingReader,
    job: Job,
    style: GivenStyle,
    *,
    weights: Sequence[float] | None = None,
    truncation: float | None = None,
    strength: float = 1.0,
) -> None:
    """Make the pictures of one job and write them, each with its settings in the PNG's text.

    Args:
        reader: reads drawings for the model.
        job: the drawings and where their pictures go.
        style: a photograph whose style all pictures take, or `Regions`; `None` takes those of the seeds.
        weights: one a drawing; `None` weighs them alike.
        truncation: psi; `None` takes the model's own.
        strength: 0 plain sample, 1 follows the drawings.

    Raises:
        SisgenError: a drawing cannot be used, or its partner is missing.
    """
    from sisgen.io.images import save_png, to_uint8

    if not job.outputs:
        return
    pipe = reader.pipe
    conditions: list[Condition] = []
    box = (0, 0, pipe.resolution, pipe.resolution)
    for kind, path in job.drawings.items():
        if path is None:
            raise InputError(f"'{job.name}' must have a partner of the same name in the folder of --{kind}, but it has none; add it.")
        condition, part = reader.read(kind, path)
        box = part if not conditions else box  # the first one decides what is cut out
        conditions.append(condition)
    names = {kind: path.name for kind, path in job.drawings.items() if path is not None}
    seeds = list(job.outputs)
    top, left, bottom, right = box
    for start in range(0, len(seeds), SEEDS_AT_ONCE):
        chosen = seeds[start : start + SEEDS_AT_ONCE]
        result = pipe(
            conditions or None, seeds=chosen, truncation=truncation, strength=strength, weights=weights if conditions else None, style=style
        )
        for sample, image in zip(chosen, to_uint8(result.images[..., top:bottom, left:right])):
            settings = {**result.settings, "seed": sample, "mask": None, **names}
            save_png(job.outputs[sample], image, {"sisgen": json.dumps(settings)})


def report_errors(out: Path, errors: Sequence[dict[str, Any]]) -> None:
    """Write `errors.jsonl`, or remove an old one when nothing failed this time."""
    from sisgen.io.files import write_text

    path = out / ERRORS_FILE
    if errors:
        write_text(path, "".join(json.dumps({"file": entry["file"], "error": entry["error"]}) + "\n" for entry in errors))
    else:
        path.unlink(missing_ok=True)


def _find_files(kind: str, path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"The {kind} '{path}' does not exist; check the path.")
        return [path]
    suffixes = (*SUFFIXES, ".safetensors") if kind == "exemplar" else SUFFIXES
    found = sorted(file for file in path.iterdir() if file.suffix.lower() in suffixes and not file.name.startswith("."))
    if not found:
        raise InputError(f"The folder '{path}' must hold files for --{kind} ({', '.join(suffixes)}), but it holds none; check the path.")
    return found


def _match(files: Mapping[str, Sequence[Path]], given: Mapping[str, Path]) -> dict[str, dict[str, Path | None]]:
    """Bring together what is drawn together: name of the outputs -> kind -> file."""
    folders = {kind: found for kind, found in files.items() if given[kind].is_dir()}
    singles: dict[str, Path | None] = {kind: found[0] for kind, found in files.items() if kind not in folders}
    if not files:
        return {"sample": {}}
    if not folders:
        first = next(iter(singles.values()))
        assert first is not None
        return {first.stem: singles}
    if len(folders) == 1:
        ((kind, found),) = folders.items()
        stems = [path.stem for path in found]
        names = [path.stem if stems.count(path.stem) == 1 else path.name.replace(".", "_") for path in found]
        return {name: {one: path if one == kind else singles.get(one) for one in files} for name, path in zip(names, found)}
    by_stem = {kind: {path.stem: path for path in found} for kind, found in folders.items()}
    every = sorted(set().union(*by_stem.values()))
    return {stem: {kind: by_stem[kind].get(stem) if kind in by_stem else singles[kind] for kind in files} for stem in every}
