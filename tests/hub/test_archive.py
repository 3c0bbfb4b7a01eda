"""Model folders in zip files: whole ones open, hostile ones do nothing."""

import io
import stat
import time
import zipfile

import pytest

from sisgen.errors import CheckpointError, InputError
from sisgen.hub import archive, find_model
from sisgen.hub.archive import unpack


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SISGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def make_zip(tmp_path):
    def make(files, name="model.zip", compression=zipfile.ZIP_DEFLATED):
        path = tmp_path / name
        with zipfile.ZipFile(path, "w", compression) as content:
            for file, data in files.items():
                content.writestr(file, data)
        return path

    return make


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("top", ["", "tiny/"])
def test_a_zip_opens_from_its_top_or_its_one_folder(make_zip, make_files, top):
    files = make_files()
    path = make_zip({f"{top}{name}": data for name, data in {**files, "run.py": b"print()", "samples/a.png": b"x"}.items()})

    found = find_model(path)

    assert {name: (found.path / name).read_bytes() for name in tree(found.path)} == files, "nothing but the model's files"
    assert found.source == f"the archive '{path}'"
    before = (found.path / "config.json").stat().st_mtime_ns
    assert find_model(str(path)).path == found.path
    assert (found.path / "config.json").stat().st_mtime_ns == before, "it is unpacked once"


def test_another_content_of_the_same_name_is_another_model(make_zip, make_files):
    first = unpack(make_zip(make_files()))

    assert unpack(make_zip(make_files(seed=4))) != first


@pytest.mark.parametrize("name", ["../evil.safetensors", "/tmp/evil.safetensors", "a/../../evil.md", "..\\evil.md", "C:/evil.md"])
def test_a_path_that_leads_out_is_refused(make_zip, make_files, tmp_path, name):
    path = make_zip({**make_files(), name: b"evil"})

    with pytest.raises(CheckpointError, match="leads out of its folder"):
        unpack(path)
    assert list(tmp_path.rglob("*evil*")) == []
    assert not (tmp_path / "cache" / "archives").exists() or tree(tmp_path / "cache" / "archives") == []


def test_links_and_devices_are_refused(tmp_path, make_files):
    for kind in (stat.S_IFLNK, stat.S_IFIFO):
        path = tmp_path / f"{kind}.zip"
        with zipfile.ZipFile(path, "w") as content:
            for name, data in make_files().items():
                content.writestr(name, data)
            entry = zipfile.ZipInfo("LICENSE")
            entry.external_attr = (kind | 0o777) << 16
            content.writestr(entry, "/etc/passwd")

        with pytest.raises(CheckpointError, match="is a link or a device"):
            unpack(path)


def test_bombs_are_refused_quickly(make_zip, make_files, monkeypatch):
    started = time.perf_counter()
    with pytest.raises(CheckpointError, match="would grow more than 200 times"):
        unpack(make_zip({**make_files(), "bomb.safetensors": bytes(30_000_000)}))
    with pytest.raises(CheckpointError, match="at most 1000 entries"):
        unpack(make_zip({**make_files(), **{f"{i}.md": b"" for i in range(1100)}}))
    monkeypatch.setattr(archive, "MAX_MODEL_BYTES", 1000)
    with pytest.raises(CheckpointError, match=r"at most 0\.0 GB are accepted"):
        unpack(make_zip(make_files()))
    assert time.perf_counter() - started < 2


def test_an_entry_that_is_larger_than_it_says_is_refused(make_zip, make_files):
    path = make_zip(make_files(size=500_000), compression=zipfile.ZIP_STORED)
    data = path.read_bytes()
    size = (500_000).to_bytes(4, "little")
    assert data.count(size) == 4, "twice in the entry, twice in the table"
    path.write_bytes(data.replace(size, (1000).to_bytes(4, "little")))

    with pytest.raises(CheckpointError, match=r"damaged or none|larger than it says"):
        unpack(path)


def test_damaged_locked_and_other_files_are_refused(make_zip, make_files, tmp_path):
    whole = make_zip(make_files()).read_bytes()
    config = whole.index(b"config.json")
    for broken in (whole[: len(whole) // 2], b"", b"no zip at all", whole[: config + 40] + b"\xff" * 40 + whole[config + 80 :]):
        path = tmp_path / "broken.zip"
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match="is damaged or none; get it again"):
            unpack(path)
    locked = bytearray(whole)
    for start in [i for i in range(len(whole)) if whole[i : i + 4] in (b"PK\1\2", b"PK\3\4")]:
        locked[start + (8 if whole[start + 2] == 1 else 6)] |= 1
    (tmp_path / "locked.zip").write_bytes(locked)
    with pytest.raises(CheckpointError, match="locked by a password"):
        unpack(tmp_path / "locked.zip")
    with pytest.raises(CheckpointError, match="another method than deflate"):
        unpack(make_zip(make_files(), compression=zipfile.ZIP_BZIP2))
    with pytest.raises(CheckpointError, match=r"must hold one config\.json"):
        unpack(make_zip({"a/config.json": b"{}", "b/config.json": b"{}"}))
    with pytest.raises(CheckpointError, match=r"must hold one config\.json"):
        unpack(make_zip({"readme.txt": b"hello"}))


def test_two_files_of_one_name_are_refused(tmp_path, make_files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content, pytest.warns(UserWarning, match="Duplicate"):
        for name, data in [*make_files().items(), ("reader.safetensors", b"another")]:
            content.writestr(name, data)
    (tmp_path / "twice.zip").write_bytes(buffer.getvalue())

    with pytest.raises(CheckpointError, match="two files of one name"):
        unpack(tmp_path / "twice.zip")


def test_a_wrong_or_missing_file_inside_is_told(make_zip, make_files):
    files = make_files()
    with pytest.raises(CheckpointError, match=r"holds a 'reader.safetensors' whose SHA-256 is not the one"):
        find_model(make_zip({**files, "reader.safetensors": b"altered"}, "altered.zip"))
    del files["reader.safetensors"]
    with pytest.raises(CheckpointError, match=r"must hold 'reader.safetensors'"):
        find_model(make_zip(files, "lacks.zip"))


def test_other_files_are_told_what_to_do(tmp_path):
    (tmp_path / "g.pkl").write_bytes(b"x")
    (tmp_path / "notes.txt").write_bytes(b"x")
    from sisgen.errors import ModelNotFoundError

    with pytest.raises(ModelNotFoundError, match="python -m sisgen convert"):
        find_model(tmp_path / "g.pkl")
    with pytest.raises(ModelNotFoundError, match="is another file"):
        find_model(tmp_path / "notes.txt")


def test_a_zip_has_no_revision(make_zip, make_files):
    with pytest.raises(InputError, match="Only models on the Hub have revisions"):
        find_model(make_zip(make_files()), revision="v1")


def test_nothing_stays_behind_after_a_failure(make_zip, make_files, tmp_path):
    path = make_zip({**make_files(), "bomb.safetensors": bytes(3_000_000)})
    with pytest.raises(CheckpointError):
        unpack(path)

    assert list((tmp_path / "cache" / "archives").iterdir()) == []
