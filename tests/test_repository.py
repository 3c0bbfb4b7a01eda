"""Promises that the repository makes as a whole: pins that agree, small files, no traces of one machine, a fast import."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 16 * 1024 * 1024
# Built from pieces, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(r"(^|[^.\w])/(" + "|".join(["wo" + "rk", "fa" + "rm", "ro" + "ot", "ho" + "me/[a-z]+"]) + ")/")
REGISTRIES = re.compile("|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "extra" + "-index-url", "find" + "-links"]))


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def tracked_texts():
    for path in tracked_files():
        if path.suffix not in (".safetensors", ".png", ".jpg", ".webp", ".gif"):
            yield path, path.read_text(encoding="utf-8")


def front_matter():
    _, head, _ = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return dict(re.findall(r"^(\w+): *(.*)$", head, flags=re.MULTILINE))


def test_gradio_is_the_same_everywhere():
    pin = re.search(r"^gradio==(\S+)$", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE).group(1)

    assert front_matter()["sdk_version"].strip("\"'") == pin
    assert f'"gradio>={pin.rsplit(".", 1)[0]},' in (ROOT / "pyproject.toml").read_text()


def test_front_matter_fits_a_space():
    head = front_matter()

    assert head["sdk"] == "gradio"
    assert (ROOT / head["app_file"]).name == "app.py"
    assert len(head["short_description"].strip("\"'")) <= 60
    assert head["suggested_hardware"] == "cpu-basic"


def test_every_requirement_is_pinned():
    lines = [line for name in ("requirements.txt", "requirements-dev.txt") for line in (ROOT / name).read_text().splitlines()]

    assert [line for line in lines if "==" not in line and not line.startswith("-r ")] == []


def test_no_tracked_file_is_large():
    assert [path.name for path in tracked_files() if path.stat().st_size >= LARGEST] == []


def test_no_machine_path_and_no_registry():
    traces = [(path.name, match.group()) for path, text in tracked_texts() for match in MACHINE_PATHS.finditer(text)]
    hosts = [(path.name, match.group()) for path, text in tracked_texts() for match in REGISTRIES.finditer(text)]

    assert traces == []
    assert hosts == []


def test_import_adds_little_to_torch():
    code = "import time, torch; start = time.perf_counter(); import sisgen; sisgen.Condition; print(time.perf_counter() - start)"
    seconds = float(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    assert seconds <= 0.5


def test_import_brings_nothing_heavy():
    code = "import sys, sisgen, sisgen.hub, sisgen.cli.main; print([m for m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert not [name for name in ("'torch'", "'gradio'", "'cv2'", "'sklearn'", "'kornia'", "'huggingface_hub'") if name in loaded]
