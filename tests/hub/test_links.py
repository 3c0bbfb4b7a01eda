"""Models at plain addresses, from a real server."""

import io
import socket
import zipfile

import pytest

from sisgen.errors import CheckpointError, InputError, ModelNotFoundError
from sisgen.hub import find_model
from sisgen.hub.download import Wanted, fetch
from sisgen.hub.web import FetchError


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SISGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_DOWNLOAD_TIMEOUT", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def site(hub, make_files):
    """A model as a folder and as a zip file on the server."""
    files = make_files()
    hub.site.update({f"tiny/{name}": data for name, data in files.items()})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for name, data in files.items():
            content.writestr(f"tiny/{name}", data)
    hub.site["tiny.zip"] = buffer.getvalue()
    return f"{hub.url}/site"


@pytest.mark.parametrize("end", ["tiny", "tiny/", "tiny/config.json", "tiny/generator.safetensors", "tiny.zip"])
def test_a_model_comes_from_an_address(hub, site, make_files, end):
    told = []

    found = find_model(f"{site}/{end}", report=lambda *progress: told.append(progress))

    files = make_files()
    for name in ("config.json", "generator.safetensors", "reader.safetensors"):
        assert (found.path / name).read_bytes() == files[name]
    assert end in found.source
    assert told[-1][1] == told[-1][2] > 0
    hub.seen.clear()
    assert find_model(f"{site}/{end}").path == found.path
    assert [path for _, path, _ in hub.seen] == ["/site/tiny.zip" if end == "tiny.zip" else "/site/tiny/config.json"], "asked for news"
    assert hub.seen[0][2]["If-None-Match"]


def test_a_new_version_is_fetched(hub, site, make_files):
    before = find_model(f"{site}/tiny").path.joinpath("config.json").read_bytes()
    hub.site.update({f"tiny/{name}": data for name, data in make_files(seed=3).items()})

    after = find_model(f"{site}/tiny").path

    assert after.joinpath("config.json").read_bytes() != before
    assert after.joinpath("generator.safetensors").read_bytes() == hub.site["tiny/generator.safetensors"]


def test_a_broken_zip_download_goes_on(hub, site, protocol):
    hub.faults += [protocol.Fault("tiny.zip", cut=100_000)]

    find_model(f"{site}/tiny.zip")

    assert [headers.get("Range") for headers in hub.gets("tiny.zip")] == [None, "bytes=100000-"]
    assert hub.gets("tiny.zip")[1]["If-Range"]


def test_a_file_that_changed_half_way_is_not_glued_together(hub, site, protocol, tmp_path):
    first, second = b"a" * 200_000, b"b" * 200_000
    hub.site["file.bin"] = first
    hub.faults += [protocol.Fault("file.bin", cut=100_000), protocol.Fault("file.bin", cut=0, times=2)]
    wanted = Wanted(url=f"{site}/file.bin", path=tmp_path / "file.bin")
    with pytest.raises(FetchError, match=r"ended after 0.1 of 0.2 MB"):
        fetch(wanted)
    hub.site["file.bin"] = second

    fetch(wanted)

    assert wanted.path.read_bytes() == second


def test_a_wrong_checksum_is_refused(hub, site):
    hub.site["tiny/reader.safetensors"] = b"altered"

    with pytest.raises(CheckpointError, match=r"'reader.safetensors' must have the SHA-256 \w{12}\.\.\., but what came"):
        find_model(f"{site}/tiny")


def test_missing_files_and_refusals_are_told(hub, site, protocol):
    for end, status in {"nothing": 404, "secret": 401}.items():
        hub.faults.append(protocol.Fault("secret/config.json", status=401))
        with pytest.raises(ModelNotFoundError, match=f"'config.json' cannot be fetched from .*/{end}/config.json': it answers {status}"):
            find_model(f"{site}/{end}")


def test_only_https_is_fetched(hub, monkeypatch):
    for address in ("http://example.org/model.zip", "https:///model.zip", "http://127.0.0.1.example.org/m.zip"):
        with pytest.raises(ModelNotFoundError, match="only https:// addresses"):
            find_model(address)


def test_an_address_has_no_revision(site):
    with pytest.raises(InputError, match="Only models on the Hub have revisions"):
        find_model(f"{site}/tiny", revision="v1")


def test_offline_and_without_a_network_the_cache_serves(hub, site, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotFoundError, match=r"'config.json' of .* is not in the cache, and HF_HUB_OFFLINE is set"):
        find_model(f"{site}/tiny")
    monkeypatch.delenv("HF_HUB_OFFLINE")
    paths = [find_model(f"{site}/{end}").path for end in ("tiny", "tiny.zip")]
    hub.seen.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert [find_model(f"{site}/{end}").path for end in ("tiny", "tiny.zip")] == paths
    assert hub.seen == []


def test_a_host_that_nobody_answers_is_told():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/model.zip"
    with pytest.raises(ModelNotFoundError, match=r"it cannot be reached \(Connection refused\)\.$"):
        find_model(url)


def test_more_than_is_bearable_is_refused(hub, site, tmp_path):
    hub.site["large.bin"] = bytes(50_000)

    with pytest.raises(CheckpointError, match=r"may have 0\.0 MB, but it has 0\.1 MB"):
        fetch(Wanted(url=f"{site}/large.bin", path=tmp_path / "large.bin", max_bytes=10_000))
    assert not (tmp_path / "large.bin").exists()
