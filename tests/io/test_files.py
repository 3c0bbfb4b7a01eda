import hashlib

import pytest

from sisgen.errors import InputError
from sisgen.io.files import read_source, replace_file, sha256_of, write_bytes


def test_a_file_appears_whole(tmp_path):
    write_bytes(tmp_path / "deep" / "a.bin", b"new")

    assert (tmp_path / "deep" / "a.bin").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.bin"]


def test_an_interrupted_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    with pytest.raises(KeyboardInterrupt), replace_file(path) as temporary:
        temporary.write_bytes(b"ne")
        raise KeyboardInterrupt

    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_read_source_refuses_what_is_no_bearable_file(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "large").write_bytes(b"x" * 11)

    with pytest.raises(InputError, match="does not exist"):
        read_source(tmp_path / "missing", 10)
    with pytest.raises(InputError, match="is a folder"):
        read_source(tmp_path, 10)
    with pytest.raises(InputError, match="is empty"):
        read_source(tmp_path / "empty", 10)
    with pytest.raises(InputError, match="at most 0 MB"):
        read_source(tmp_path / "large", 10)
    with pytest.raises(InputError, match="The uploaded file must be at most"):
        read_source(b"x" * 11, 10)


def test_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 1000)

    assert sha256_of(tmp_path / "a") == hashlib.sha256(b"abc" * 1000).hexdigest()
