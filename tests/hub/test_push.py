"""A model folder to a Hub that is a real server, and back again."""

from pathlib import Path

import pytest

from sisgen.errors import CheckpointError, InputError
from sisgen.hub.push import pack, push

WRITER = {"HF_TOKEN": "writer"}


def test_what_is_pushed_comes_back(worker, hub, make_files, write_folder):
    files = {**make_files(seed=11), "LICENSE": b"the licence", "stats.jsonl": b"{}", "snapshot.pt": b"x"}
    folder = write_folder(files)

    address = worker("push", str(folder), "writer/tiny", environment=WRITER)

    assert address == f"{hub.url}/writer/tiny"
    there = hub.repos["writer/tiny"].files
    assert sorted(there) == ["CARD.md", "LICENSE", "README.md", "config.json", "generator.safetensors", "reader.safetensors"]
    assert all(there[name] == data for name, data in files.items() if name in there)
    card = there["README.md"].decode()
    assert card.startswith("---\nlibrary_name: sisgen\n")
    assert "\nlicense: apache-2.0\n" in card
    assert card.endswith("---\n\n# tiny\n\nRandom bytes.\n")
    found = worker("find", "writer/tiny")
    assert Path(found["path"], "generator.safetensors").read_bytes() == files["generator.safetensors"]

    # What came from the Hub can be pushed again, and only what changed goes there.
    (folder / "CARD.md").write_text("# tiny\n\nBetter.\n")
    hub.seen.clear()
    worker("push", str(folder), "writer/tiny", environment=WRITER)
    assert not [path for method, path, _ in hub.seen if method == "PUT"]
    assert there["README.md"].decode().endswith("# tiny\n\nBetter.\n")


def test_a_private_one_is_made_private(worker, hub, make_files, write_folder):
    worker("push", str(write_folder(make_files())), "writer/hidden", private=True, environment=WRITER)

    assert hub.repos["writer/hidden"].token == "writer"


@pytest.mark.parametrize(
    ("token", "words"), [({}, "it answers 401: set HF_TOKEN"), ({"HF_TOKEN": "reader"}, "it answers 401: set HF_TOKEN")]
)
def test_without_the_right_token_nothing_is_sent(worker, hub, make_files, write_folder, refused, token, words):
    with pytest.raises(refused, match=f"SisgenError: The Hub did not take 'writer/tiny': {words} to a token that may write there"):
        worker("push", str(write_folder(make_files())), "writer/tiny", environment=token)
    assert hub.repos == {}
    assert hub.blobs == {}


def test_other_failures_are_one_sentence(worker, hub, make_files, write_folder, refused, protocol):
    folder = str(write_folder(make_files()))
    with pytest.raises(refused, match=r"SisgenError: The Hub did not take 'writer/tiny': it cannot be reached"):
        worker("push", folder, "writer/tiny", environment={**WRITER, "HF_ENDPOINT": "http://127.0.0.1:9"})
    hub.faults.append(protocol.Fault("/preupload/main", status=403))
    with pytest.raises(refused, match=r"it answers 403: set HF_TOKEN"):
        worker("push", folder, "writer/tiny", environment=WRITER)
    with pytest.raises(refused, match=r"HF_HUB_OFFLINE is set; unset it"):
        worker("push", folder, "writer/tiny", environment={**WRITER, "HF_HUB_OFFLINE": "1"})


@pytest.mark.parametrize("licence", ["", "unknown", "Unknown", None])
def test_a_folder_without_a_licence_is_refused(make_files, write_folder, licence):
    with pytest.raises(CheckpointError, match=r"has no licence; run `python -m sisgen release`"):
        pack(write_folder(make_files(license=licence)))


def test_a_folder_without_a_card_is_refused(make_files, write_folder):
    files = make_files()
    for card in (b"", b"  \n"):
        folder = write_folder({**files, "CARD.md": card}, f"card{len(card)}")
        with pytest.raises(CheckpointError, match=r"has no card \(CARD.md\)"):
            pack(folder)
    with pytest.raises(CheckpointError, match="must be a model folder"):
        pack(write_folder({}, "empty"))


def test_an_altered_folder_and_an_impossible_id_are_refused(make_files, write_folder, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    folder = write_folder({**make_files(), "reader.safetensors": b"altered"})
    with pytest.raises(CheckpointError, match="whose SHA-256 is not the one"):
        push(folder, "writer/tiny")
    for name in ("tiny", "a/b/c", "../x", "a/..", "https://x/y"):
        with pytest.raises(InputError, match="is called USER/NAME"):
            push(folder, name)


def test_licences_that_the_hub_does_not_know_are_named(make_files, write_folder):
    card = pack(write_folder(make_files(license="CC BY-NC 4.0"))).card
    assert "license: cc-by-nc-4.0\n" in card
    card = pack(write_folder(make_files(license='Nvidia "research"\nonly'), "other")).card
    assert 'license: other\nlicense_name: "Nvidia \\"research\\"\\nonly"\n' in card


def test_a_pipeline_pushes_its_folder(tiny_pipeline, tiny_model, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    assert tiny_pipeline.folder == tiny_model
    with pytest.raises(CheckpointError, match="has no card"):
        tiny_pipeline.push_to_hub("writer/tiny")
