"""A program that does what it is told on its input, a line of JSON each: `huggingface_hub` reads its settings once a process."""

import json
import os
import sys


def find(name, revision=None):
    from sisgen.hub import find_model

    told = []
    found = find_model(name, revision=revision, report=lambda *progress: told.append(progress))
    files = sorted(path.name for path in found.path.iterdir())
    return {"path": str(found.path), "source": found.source, "files": files, "told": told}


def push(folder, hub_id, **options):
    from sisgen.hub.push import push

    return push(folder, hub_id, **options)


def pipeline(name, revision=None):
    import torch

    from sisgen.pipeline import Pipeline

    torch.set_num_threads(1)
    pipe = Pipeline.from_pretrained(name, device="cpu", revision=revision)
    return {"name": pipe.name, "source": pipe.source, "shape": list(pipe(None, seeds=[1]).images.shape)}


def page(*arguments):
    """What the page is told when `app.py` starts with these arguments."""
    from sisgen.app.description import describe_model
    from sisgen.app.launch import build_context
    from sisgen.app.settings import read_settings

    context = build_context(read_settings(list(arguments)))
    told = describe_model(context, None)
    context.lane.close()
    return {"told": told, "share": context.downloads.share(told["name"])}


def hub_library(name, **options):
    """What the Hub's own library makes of the same server and the same cache."""
    from huggingface_hub import snapshot_download

    return snapshot_download(name, **options)


def hed(allow_network=True):
    from sisgen.hub.hed import find_hed

    found = find_hed(allow_network=allow_network)
    return None if found is None else str(found)


def clip(name):
    from sisgen.hub.clip import find_clip

    return str(find_clip(name))


JOBS = {job.__name__: job for job in (find, push, pipeline, page, hub_library, hed, clip)}


def main():
    start = dict(os.environ)
    for line in sys.stdin:
        task = json.loads(line)
        os.environ.clear()
        os.environ.update({**start, **task["environment"]})
        try:
            answer = {"value": JOBS[task["job"]](*task["arguments"], **task["options"])}
        except Exception as error:
            answer = {"error": type(error).__name__, "text": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
