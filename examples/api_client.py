"""Make pictures through a running page: `python app.py` in one terminal, `python examples/api_client.py` in another.

python examples/api_client.py                                        a mask of examples/masks with four seeds
python examples/api_client.py --kind scribble --drawing mine.png     strokes in the palette's colours
python examples/api_client.py --kind canny --drawing photo.jpg       the edges of a photo; also sketch, hed, depth
python examples/api_client.py --also canny photo.jpg --weight 0.4    the mask and the edges of a photo, mixed
python examples/api_client.py --part hair=12 --part skin=40          parts in the styles of other samples
python examples/api_client.py --photo me.jpg --steps 20              a photo, brought into the model
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from gradio_client import Client, handle_file

MASK = Path(__file__).resolve().parent / "masks" / "2-long-hair.png"


def main(arguments: list[str] | None = None) -> None:
    """Ask the server that is named, and keep what it answers."""
    parser = argparse.ArgumentParser(description="Make pictures through a running page.")
    parser.add_argument("--server", default="http://127.0.0.1:7860/", help="address of the page")
    parser.add_argument("--kind", default="mask", choices=("mask", "scribble", "sketch", "canny", "hed", "depth"))
    parser.add_argument("--drawing", type=Path, default=MASK, help="a mask, a scribble, or a picture whose lines are taken")
    parser.add_argument("--also", nargs=2, metavar=("KIND", "FILE"), help="a second drawing, to be followed too")
    parser.add_argument("--weight", type=float, default=0.5, help="of the second drawing, 0 to 1")
    parser.add_argument("--part", action="append", default=[], metavar="CLASS=SEED", help="a class in the style of another sample")
    parser.add_argument("--photo", type=Path, help="a photograph to bring into the model instead")
    parser.add_argument("--steps", type=int, default=0, choices=(0, 20, 100), help="how near to come to the photograph")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--model", default="", help="a model of the page's menu; empty for its first")
    parser.add_argument("--out", type=Path, default=Path("pictures"), help="folder for what comes")
    args = parser.parse_args(arguments)

    client = Client(args.server, verbose=False)
    settings = {"seeds": args.seeds, "truncation": 0.7, "strength": 1.0, "model": args.model}
    parts = {name: int(seed) for name, _, seed in (part.rpartition("=") for part in args.part)}
    if args.photo:
        files, report = client.predict(photo=handle_file(str(args.photo)), steps=args.steps, model=args.model, api_name="/invert")
    elif args.also or (parts and args.kind != "mask"):
        kind, file = args.also or ("mask", None)
        two = {"first": handle_file(str(args.drawing)), "second": file and handle_file(file), "second_kind": kind, "weight": args.weight}
        files, report = client.predict(**two, first_kind=args.kind, **settings, parts=parts, api_name="/generate_mixed")
    elif args.kind == "mask":
        files, report = client.predict(mask=handle_file(str(args.drawing)), **settings, parts=parts, api_name="/generate_mask")
    elif args.kind == "scribble":
        files, report = client.predict(scribble=handle_file(str(args.drawing)), **settings, api_name="/generate_scribble")
    else:
        picture = handle_file(str(args.drawing))
        files, report = client.predict(picture=picture, kind=args.kind, **settings, api_name="/generate_edges")

    args.out.mkdir(parents=True, exist_ok=True)
    for file in files:
        print(shutil.copy(file, args.out / Path(file).name))
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
