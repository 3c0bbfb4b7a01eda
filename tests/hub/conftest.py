"""A real web server that speaks the Hub's protocol, and a process in front of it that knows no other Hub."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def protocol():
    """The names of `server.py`."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("server.py"))))


@pytest.fixture(scope="session")
def server(protocol):
    with protocol.running() as hub:
        yield hub


@pytest.fixture
def hub(server):
    """The server, empty and well-behaved."""
    for kept in (server.repos, server.site, server.blobs, server.faults, server.seen):
        kept.clear()
    server.released.set()
    server.released.clear()
    return server


class HubError(Exception):
    """What the other process raised: class and text."""


class Worker:
    """The process; its calls return what the job returned or raise `HubError`."""

    def __init__(self, environment, folder):
        command = [sys.executable, str(Path(__file__).with_name("worker.py"))]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process = subprocess.Popen(command, env=environment, cwd=folder, **pipes)

    def __call__(self, job, *arguments, environment=None, **options):
        task = {"job": job, "arguments": arguments, "options": options, "environment": environment or {}}
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise HubError(f"{answer['error']}: {answer['text']}")
        return answer["value"]


@pytest.fixture(scope="session")
def caches(tmp_path_factory):
    """Folders of the process: the Hub's cache, ours, and where it runs."""
    root = tmp_path_factory.mktemp("hub")
    (root / "here").mkdir()
    return SimpleNamespace(hub=root / "hf" / "hub", own=root / "own", here=root / "here", hf=root / "hf")


@pytest.fixture(scope="session")
def worker(server, caches):
    others = ("HF_", "HUGGING", "SISGEN_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.upper().startswith(others)},
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(caches.hf),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "1",
        "SISGEN_CACHE": str(caches.own),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
    }
    worker = Worker(environment, caches.here)
    worker.environment = environment
    yield worker
    worker.process.stdin.close()
    worker.process.wait(10)


@pytest.fixture
def refused():
    """The exception of a call that the process refused; its text is "Class: sentence"."""
    return HubError


@pytest.fixture(scope="session")
def make_files(protocol):
    """Make a model's files, name -> bytes, with weights that do not compress; `size` bytes of them."""

    def make(seed=0, size=200_000, **more):
        import random

        weights = random.Random(seed).randbytes(size)
        small = random.Random(seed + 1000).randbytes(300)
        config = {
            "format": 1,
            "name": "tiny",
            "license": "apache-2.0",
            "revision": "abc",
            "files": {"generator.safetensors": protocol.sha256(weights), "reader.safetensors": protocol.sha256(small)},
            **more,
        }
        papers = {"CARD.md": b"# tiny\n\nRandom bytes.\n"}
        return {"config.json": json.dumps(config).encode(), "generator.safetensors": weights, "reader.safetensors": small, **papers}

    return make


@pytest.fixture
def put(protocol, hub, make_files):
    """Put a model on the Hub."""

    def put(name, files=None, **options):
        hub.repos[name] = protocol.Repo(files=make_files() if files is None else files, **options)
        return hub.repos[name]

    return put


@pytest.fixture
def write_folder(tmp_path):
    """Write files, name -> bytes, to a folder."""

    def write(files, name="model"):
        folder = tmp_path / name
        folder.mkdir()
        for file, data in files.items():
            (folder / file).write_bytes(data)
        return folder

    return write
