"""`app.py` as a program: it comes up without the network, ends on SIGTERM, and says in one sentence why it cannot start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

ROOT = Path(__file__).resolve().parents[2]

# Put before the program: whoever looks up or connects to another machine ends it with a mark in its output.
OFFLINE = """
import socket, sys
ask, reach = socket.getaddrinfo, socket.socket.connect
def own(host): return host in (None, "", b"", "127.0.0.1", "localhost", "0.0.0.0", "::1")
def lookup(host, *rest, **more):
    if not own(host): sys.stderr.write(f"NETWORK {host}\\n")
    return ask(host, *rest, **more)
def connect(self, address):
    if isinstance(address, tuple) and not own(address[0]): sys.stderr.write(f"NETWORK {address}\\n")
    return reach(self, address)
socket.getaddrinfo, socket.socket.connect = lookup, connect
"""


def _environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "sitecustomize.py").write_text(OFFLINE)
    return {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "GRADIO_TEMP_DIR": str(tmp_path / "cache")}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_program_serves_without_the_network_and_ends_on_sigterm(tiny_model: Path, tmp_path: Path) -> None:
    port = _free_port()
    command = [sys.executable, str(ROOT / "app.py"), "--model", str(tiny_model), "--port", str(port)]
    with subprocess.Popen(command, env=_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        try:
            page = _get(f"http://127.0.0.1:{port}/", program)
            assert "sisgen" in page
            for host in ("http://", "https://"):  # scripts, styles and fonts come from the page's own server
                assert f'src="{host}' not in page
            assert '"classSeeds"' in _get(f"http://127.0.0.1:{port}/sisgen/model", program)
            program.send_signal(signal.SIGTERM)
            started = time.perf_counter()
            _, errors = program.communicate(timeout=15)
        finally:
            program.kill()
    assert program.returncode == 0, errors
    assert time.perf_counter() - started < 10
    assert "NETWORK" not in errors


def test_an_unknown_model_ends_with_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "app.py"), "--model", "no-such-model"]
    environment = _environment(tmp_path) | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "no-such-model" in done.stderr
    assert "Traceback" not in done.stderr


def _get(url: str, program: subprocess.Popen[str], seconds: float = 90.0) -> str:
    opener, end = build_opener(ProxyHandler({})), time.perf_counter() + seconds
    while time.perf_counter() < end and program.poll() is None:
        try:
            with opener.open(url, timeout=10) as answer:
                return answer.read().decode()
        except (URLError, OSError):
            time.sleep(0.1)
    program.kill()
    raise AssertionError(f"nothing answers: {program.communicate()[1]}")
