"""Models from a Hub that is a real server: whole, resumed, checked, and every failure one sentence."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

OFFLINE = {"HF_HUB_OFFLINE": "1"}
NOBODY = {"HF_ENDPOINT": "http://127.0.0.1:9"}  # a port where nobody listens


def is_sentence(text):
    return "Traceback" not in text and "\n" not in text and text.endswith((".", ".'"))


def test_a_model_comes_whole_and_only_once(worker, hub, put, make_files):
    repo = put("someone/whole", {**make_files(), "README.md": b"the card", "LICENSE": b"the licence", "pytorch_model.bin": b"a pickle"})

    found = worker("find", "someone/whole")

    assert found["source"] == "the Hub (someone/whole)"
    assert found["files"] == ["CARD.md", "LICENSE", "README.md", "config.json", "generator.safetensors", "reader.safetensors"]
    for name in found["files"]:
        assert Path(found["path"], name).read_bytes() == repo.files[name]
    steps = found["told"]
    assert {name for name, _, _ in steps} == {"someone/whole"}
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert steps[-1][1] == steps[-1][2] == sum(len(repo.files[name]) for name in found["files"] if name != "config.json")

    hub.seen.clear()
    assert worker("find", "someone/whole")["path"] == found["path"]
    assert [path for _, path, _ in hub.seen] == ["/api/models/someone/whole/revision/main"], "one question for news, no file"
    hub.seen.clear()
    assert worker("find", "someone/whole", revision=repo.commit)["path"] == found["path"]
    assert worker("find", f"{hub.url}/someone/whole/tree/{repo.commit}")["path"] == found["path"]
    assert hub.seen == [], "a commit never changes"


def test_the_hubs_library_reads_our_cache_and_we_read_its(worker, hub, put):
    put("someone/ours")
    put("someone/theirs")

    ours = worker("find", "someone/ours")["path"]
    theirs = worker("hub_library", "someone/theirs")

    assert worker("hub_library", "someone/ours", local_files_only=True) == ours
    hub.seen.clear()
    assert worker("find", "someone/theirs", environment=OFFLINE)["path"] == theirs
    assert hub.seen == []


def test_a_new_version_brings_only_what_changed(worker, hub, put, make_files):
    put("someone/grows")
    first = worker("find", "someone/grows")
    put("someone/grows", {**make_files(), "CARD.md": b"# a better card\n"})
    hub.seen.clear()

    second = worker("find", "someone/grows")

    assert second["path"] != first["path"]
    assert Path(second["path"], "CARD.md").read_text() == "# a better card\n"
    assert hub.gets("generator.safetensors") == []


def test_a_pipeline_loads_from_the_hub_at_a_tag(worker, put, tiny_model):
    put("someone/real", {path.name: path.read_bytes() for path in tiny_model.iterdir()})

    loaded = worker("pipeline", "someone/real", revision="v1")

    assert loaded == {"name": "tiny", "source": "the Hub (someone/real)", "shape": [1, 3, 32, 32]}


def test_the_page_opens_on_a_model_of_the_hub(worker, put, tiny_model):
    put("someone/shown", {path.name: path.read_bytes() for path in tiny_model.iterdir()})

    page = worker("page", "--model", "someone/shown")

    told = page["told"]
    assert (told["title"], told["source"], told["license"]) == ("tiny", "the Hub (someone/shown)", "apache-2.0")
    offer = told["models"][0]
    assert (offer["name"], offer["title"], offer["source"], offer["loaded"]) == ("someone/shown", "tiny", "the Hub (someone/shown)", True)
    assert page["share"] is None, "the download is over"


def test_a_broken_connection_is_taken_up_again(worker, hub, put, protocol):
    repo = put("someone/breaks")
    weights = repo.files["generator.safetensors"]
    hub.faults.append(protocol.Fault(protocol.sha256(weights), cut=120_000))

    found = worker("find", "someone/breaks")

    assert Path(found["path"], "generator.safetensors").read_bytes() == weights
    assert [headers.get("Range") for headers in hub.gets(protocol.sha256(weights))] == [None, "bytes=120000-"]


def test_a_download_that_broke_for_good_goes_on_with_the_next_command(worker, hub, put, protocol, refused, make_files):
    weights = put("someone/stops", make_files(seed=5)).files["generator.safetensors"]
    oid = protocol.sha256(weights)
    hub.faults += [protocol.Fault(oid, cut=100_000), protocol.Fault(oid, cut=0, times=2)]

    with pytest.raises(refused, match=r"ModelNotFoundError: .*ended after 0.1 of 0.2 MB; the same command goes on") as caught:
        worker("find", "someone/stops")
    assert is_sentence(str(caught.value))
    hub.seen.clear()

    found = worker("find", "someone/stops")

    assert Path(found["path"], "generator.safetensors").read_bytes() == weights
    assert [headers.get("Range") for headers in hub.gets(oid)] == ["bytes=100000-"]


def test_a_server_that_ignores_ranges_starts_anew(worker, hub, put, protocol, make_files):
    weights = put("someone/anew", make_files(seed=6)).files["generator.safetensors"]
    oid = protocol.sha256(weights)
    hub.faults += [protocol.Fault(oid, cut=50_000), protocol.Fault(oid, ignore_range=True)]

    assert Path(worker("find", "someone/anew")["path"], "generator.safetensors").read_bytes() == weights


def test_a_wrong_checksum_is_refused_and_leaves_nothing(worker, hub, put, caches, refused, make_files):
    files = make_files(seed=7)
    put("someone/wrong", {**files, "generator.safetensors": files["generator.safetensors"][::-1]})

    for _ in range(2):  # the second call asks the server again
        with pytest.raises(refused, match=r"CheckpointError: 'generator.safetensors' must have the SHA-256") as caught:
            worker("find", "someone/wrong")
        assert is_sentence(str(caught.value))
    cached = caches.hub / "models--someone--wrong"
    assert not list(cached.rglob("generator.safetensors"))
    assert [path.stat().st_size for path in (cached / "blobs").iterdir()] == [len(files["config.json"])]


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "answers 401: there is no such model, or it is private and HF_TOKEN"),
        ({"HF_TOKEN": "stranger"}, "answers 404: there is no such model"),
    ],
)
def test_a_private_or_missing_model_is_told(worker, put, refused, environment, words):
    put("someone/private", token="secret")

    for name in ("someone/private", "someone/missing"):
        with pytest.raises(refused, match=f"ModelNotFoundError: There is no model '{name}' .*{words}") as caught:
            worker("find", name, environment=environment)
        assert is_sentence(str(caught.value))


def test_the_token_opens_the_hub_and_goes_nowhere_else(worker, hub, put, protocol):
    repo = put("someone/mine", token="secret")

    worker("find", "someone/mine", environment={"HF_TOKEN": "secret"})

    assert hub.gets("resolve/" + repo.commit + "/config.json")[0]["Authorization"] == "Bearer secret"
    cdn = hub.gets(protocol.sha256(repo.files["reader.safetensors"]))
    assert cdn
    assert all("Authorization" not in headers for headers in cdn), "the storage behind the Hub is another host"


@pytest.mark.parametrize(("status", "words"), [(403, "accept the conditions"), (429, "too many requests"), (500, "out of order just now")])
def test_refusals_are_told(worker, hub, put, protocol, refused, status, words):
    put("someone/refused")
    hub.faults.append(protocol.Fault("/revision/main", times=9, status=status))

    with pytest.raises(refused, match=f"answers {status}: .*{words}") as caught:
        worker("find", "someone/refused")
    assert is_sentence(str(caught.value))


def test_a_passing_trouble_passes(worker, hub, put, protocol):
    put("someone/passing")
    hub.faults += [protocol.Fault("/revision/main", status=503), protocol.Fault("/config.json", status=429)]

    assert worker("find", "someone/passing")["files"]


def test_an_unknown_revision_is_told(worker, put, refused):
    put("someone/versions")

    with pytest.raises(refused, match=r"revision 'v9', it answers 404"):
        worker("find", "someone/versions", revision="v9")
    with pytest.raises(refused, match=r"is no revision"):
        worker("find", "someone/versions", revision="../../x")


def test_a_slow_server_is_given_up(worker, hub, put, protocol, refused, make_files):
    weights = put("someone/slow", make_files(seed=8)).files["generator.safetensors"]
    oid = protocol.sha256(weights)
    hub.faults += [protocol.Fault("/revision/main", mute=True), protocol.Fault(oid, cut=0, times=2), protocol.Fault(oid, stall=1000)]

    with pytest.raises(refused, match=r"it gave no answer within 1 s; try again later or set HF_HUB_DOWNLOAD_TIMEOUT"):
        worker("find", "someone/slow")
    with pytest.raises(refused, match=r"fell silent for 1 s after 0.0 of 0.2 MB; the same command goes on") as caught:
        worker("find", "someone/slow")
    assert is_sentence(str(caught.value))


def test_without_a_network_the_cache_serves_or_the_reason_is_told(worker, put, refused):
    put("someone/cached")
    path = worker("find", "someone/cached")["path"]

    assert worker("find", "someone/cached", environment=NOBODY)["path"] == path
    with pytest.raises(refused, match=r"ModelNotFoundError: .*it cannot be reached \(Connection refused\)") as caught:
        worker("find", "someone/uncached", environment=NOBODY)
    assert is_sentence(str(caught.value))


def test_offline_says_what_is_missing(worker, hub, put, refused):
    put("someone/half")
    folder = Path(worker("find", "someone/half")["path"])
    (folder / "reader.safetensors").unlink()
    hub.seen.clear()

    with pytest.raises(refused, match=r"only its cache, since HF_HUB_OFFLINE is set, and that lacks 'reader.safetensors'\)"):
        worker("find", "someone/half", environment=OFFLINE)
    with pytest.raises(refused, match=r"that lacks 'config.json'\)"):
        worker("find", "someone/never", environment=OFFLINE)
    assert hub.seen == []

    assert (Path(worker("find", "someone/half")["path"]) / "reader.safetensors").exists(), "what is missing is fetched again"


def test_other_repositories_are_no_models(worker, put, refused, make_files):
    put("someone/empty", {"README.md": b"nothing here"})
    put("someone/other", {"config.json": b'{"model_type": "bert"}', "model.safetensors": b"x"})
    put("someone/climbs", make_files(files={"../../x.safetensors": "0" * 64}))
    lacks = make_files()
    del lacks["reader.safetensors"]
    put("someone/lacks", lacks)
    put("someone/huge", claimed={"generator.safetensors": 10**12})

    for name, words in {
        "empty": "has no config.json",
        "other": "lists no files of one",
        "climbs": "which is no plain .safetensors name",
        "lacks": "must hold 'reader.safetensors'",
        "huge": r"has 1,000,0\d\d MB",
    }.items():
        with pytest.raises(refused, match=f"CheckpointError: .*{words}") as caught:
            worker("find", f"someone/{name}")
        assert is_sentence(str(caught.value))


def test_a_server_that_is_no_hub_is_told(worker, hub, refused):
    hub.site["api/models/someone/page/revision/main"] = b"<html>log in first</html>"

    with pytest.raises(refused, match=r"its answer is no JSON, so it does not seem to be a Hub; check HF_ENDPOINT"):
        worker("find", "someone/page", environment={"HF_ENDPOINT": f"{hub.url}/site"})


def test_two_processes_at_once_share_one_download(worker, put, make_files):
    repo = put("someone/shared", make_files(seed=9))
    code = "import sys; from sisgen.hub import find_model; print(find_model(sys.argv[1]).path)"
    other = subprocess.Popen([sys.executable, "-c", code, "someone/shared"], env=worker.environment, stdout=subprocess.PIPE, text=True)
    mine = worker("find", "someone/shared")["path"]
    theirs = other.communicate(timeout=30)[0].strip()

    assert mine == theirs
    assert Path(mine, "generator.safetensors").read_bytes() == repo.files["generator.safetensors"]
    assert json.loads(Path(mine, "config.json").read_text())["name"] == "tiny"
