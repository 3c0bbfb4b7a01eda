"""`sisgen push`: uploads a model folder with its card to the Hugging Face Hub."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """Add the verb to the command line."""
    words = "Upload a model folder with its card to the Hugging Face Hub; HF_TOKEN must hold a token that may write."
    parser = subparsers.add_parser("push", help="upload a model to the Hugging Face Hub", description=words)
    parser.add_argument("--model", type=Path, required=True, help="the model's folder")
    parser.add_argument("--to", required=True, metavar="USER/NAME", help="where it goes on the Hub")
    parser.add_argument("--private", action="store_true", help="for your eyes only, where the repository is new")
    parser.add_argument("--branch", help="branch to commit to, which must exist (default: main)")
    parser.add_argument("--dry-run", action="store_true", help="check the folder and list what would be sent")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Upload the folder.

    Raises:
        SisgenError: the folder is no whole model with licence and card, or the Hub refuses.
    """
    from sisgen.hub.push import HUB_CARD, pack, push

    if args.dry_run:
        parcel = pack(args.model)
        for name, path in parcel.files.items():
            print(f"{path.stat().st_size:>12,}  {name}")
        print(f"{len(parcel.card.encode()):>12,}  {HUB_CARD} (the card)")
        print(f"{parcel.num_bytes / 1e6:,.1f} MB would go to {args.to}; nothing was sent.")
        return 0
    print(f"Pushed: {push(args.model, args.to, private=args.private, branch=args.branch)}")
    return 0
