"""Generated code is kept where nobody else can write, and taken from nowhere else."""

import importlib.util
import marshal
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.new_process import generated, nothing_compiled_yet
from tinygrad_rnn.compiler.runtime import code_folder

posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="files have neither owners nor modes")
as_root = pytest.mark.skipif(getattr(os, "getuid", lambda: 1)() != 0, reason="only root can give files away")
NOBODY = 65534


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The cache folder, as a run before this one made it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = code_folder.cache_folder()
    assert made == tmp_path / "cache" / "tinygrad_rnn"
    return made


def is_refused(folder):
    used = code_folder.cache_folder()
    assert used.is_dir()
    return folder.parent not in used.parents


@posix
def test_all_folders_that_are_made_are_closed_whatever_the_umask(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a" / "b"))
    before = os.umask(0)
    try:
        folder = code_folder.cache_folder()
    finally:
        os.umask(before)
    assert folder == tmp_path / "a" / "b" / "tinygrad_rnn"
    for made in (folder / "__pycache__", folder, *list(folder.parents)[:2]):
        assert made.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o777, 0o1777])
@pytest.mark.parametrize("inside", ["", "__pycache__"])
def test_what_others_can_write_to_is_refused_and_left_as_it_is(folder, mode, inside):
    (folder / inside).chmod(mode)
    assert is_refused(folder)
    assert (folder / inside).stat().st_mode & 0o7777 == mode


@posix
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_what_others_can_only_read_is_taken(folder, mode):
    folder.chmod(mode)
    assert not is_refused(folder)


@as_root
@pytest.mark.parametrize("inside", ["", "__pycache__"])
def test_another_users_folder_is_refused(folder, inside):
    os.chown(folder / inside, NOBODY, NOBODY)
    assert is_refused(folder)


@as_root
def test_a_folder_of_ours_within_another_users_is_refused(folder):
    os.chown(folder.parent, NOBODY, NOBODY)
    assert is_refused(folder)


@posix
def test_a_folder_that_everybody_can_exchange_is_refused(folder):
    folder.parent.chmod(0o777)
    assert is_refused(folder)
    folder.parent.chmod(0o1777)  # as /tmp: only the owner can
    assert not is_refused(folder)


@pytest.mark.parametrize("inside", ["", "__pycache__"])
def test_a_link_is_refused_even_to_a_folder_of_ours(folder, tmp_path, inside):
    path = folder / inside
    path.rename(tmp_path / "elsewhere")
    try:
        path.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("no right to make links")
    assert is_refused(folder)


def test_a_file_in_the_place_of_the_folder_is_refused(folder):
    (folder / "__pycache__").rmdir()
    folder.rmdir()
    folder.touch()
    assert is_refused(folder)


def test_a_cache_that_lies_behind_a_link_is_taken(tmp_path, monkeypatch):
    """As where a home directory is small, and its cache elsewhere."""
    (tmp_path / "large").mkdir(mode=0o700)
    try:
        (tmp_path / "cache").symlink_to(tmp_path / "large", target_is_directory=True)
    except OSError:
        pytest.skip("no right to make links")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert code_folder.cache_folder() == tmp_path / "cache" / "tinygrad_rnn"


@pytest.mark.parametrize("value", ["", "relative", "/proc/nonexistent", "/dev/null"])
def test_whatever_the_environment_says_there_is_a_folder(tmp_path, monkeypatch, value):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "environ", {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": value})
    folder = code_folder.cache_folder()
    assert folder.is_dir() and not (tmp_path / "relative").exists()
    assert (folder == tmp_path / ".cache" / "tinygrad_rnn") == (value in ("", "relative"))


# --- files -----------------------------------------------------------------------------------------------------------


def test_a_file_is_written_as_it_is_and_for_us_alone(tmp_path):
    path = tmp_path / "code.py"
    code_folder.write_whole(path, b"a\nb\r\nc\n")
    assert path.read_bytes() == b"a\nb\r\nc\n" and code_folder.is_kept(path, b"a\nb\r\nc\n")
    assert [p.name for p in tmp_path.iterdir()] == ["code.py"]
    if code_folder.HAS_OWNERS:
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_cant_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "code.py").mkdir()
    with pytest.raises(OSError):
        code_folder.write_whole(tmp_path / "code.py", b"a")
    assert [p.name for p in tmp_path.iterdir()] == ["code.py"]


def test_a_file_with_another_content_isnt_kept(tmp_path):
    path = tmp_path / "code.py"
    assert not code_folder.is_kept(path, b"a")
    for content in (b"", b"b", b"ab"):
        path.write_bytes(content)
        assert not code_folder.is_kept(path, b"a")


def opened(path):
    path.chmod(0o666)


def given_away(path):
    os.chown(path, NOBODY, NOBODY)


def linked(path):
    path.rename(path.with_suffix(".other"))
    path.symlink_to(path.with_suffix(".other"))


def linked_hard(path):
    path.with_suffix(".other").hardlink_to(path)


def a_folder(path):
    path.unlink()
    path.mkdir()


SPOILT = [opened, pytest.param(given_away, marks=as_root), linked, linked_hard]


@posix
@pytest.mark.parametrize("spoil", [*SPOILT, a_folder])
def test_a_file_that_others_may_have_written_isnt_kept(tmp_path, spoil):
    path = tmp_path / "code.py"
    code_folder.write_whole(path, b"a")
    spoil(path)
    assert not code_folder.is_kept(path, b"a")


def run(cache, umask=0o22, **environment):
    """How many functions of machine code another process would run, and how many of them it would find."""
    numba = pytest.importorskip("numba")
    if numba.config.DISABLE_JIT:
        pytest.skip("nothing is compiled")
    with nothing_compiled_yet(cache, **environment):
        numba.config.reload_config()
        before = os.umask(umask)
        try:
            y = tr.compile(lambda x: np.tanh(x) * 2 + 1, executor="numba")(np.ones((40, 60)))
        finally:
            os.umask(before)
        assert np.allclose(y.data, np.tanh(1) * 2 + 1)
        loops = [module.program for module in generated().values()]
    numba.config.reload_config()
    return len(loops), sum(sum(loop.stats().cache_hits.values()) for loop in loops)


class Planted:
    """What makes a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def machine_code(cache):
    return sorted((cache / "tinygrad_rnn" / "__pycache__").glob("*.nb?"))


@posix
@pytest.mark.parametrize("spoil", SPOILT)
def test_machine_code_that_others_may_have_written_isnt_run(tmp_path, spoil):
    cache, mark = tmp_path / "cache", tmp_path / "mark"
    assert run(cache) == (1, 0)
    assert run(cache) == (1, 1)
    for path in machine_code(cache):
        path.write_bytes(pickle.dumps(Planted(mark)))
        spoil(path)
    assert run(cache) == (1, 0)
    assert not mark.exists()
    assert run(cache) == (1, 1)  # it was made anew


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [("*.py", b"nonsense ="), ("*.nbi", b"nonsense"), ("*.nbc", b""), ("*.nbi", b"\x80\x04.")],
)
def test_damaged_files_are_made_anew(tmp_path, pattern, damage):
    run(tmp_path)
    (path,) = tmp_path.rglob(pattern)
    path.write_bytes(damage)
    assert run(tmp_path)[0] == 1
    assert run(tmp_path) == (1, 1)


def test_a_pyc_beside_generated_code_isnt_run(tmp_path):
    cache, mark = tmp_path / "cache", tmp_path / "mark"
    run(cache)
    (source,) = (cache / "tinygrad_rnn").glob("*.py")
    text = source.read_bytes()
    planted = compile(f"import os; os.mkdir({str(mark)!r})", str(source), "exec")
    header = importlib.util.MAGIC_NUMBER + (0).to_bytes(4, "little")
    header += int(source.stat().st_mtime).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    Path(importlib.util.cache_from_source(str(source))).write_bytes(header + marshal.dumps(planted))
    assert run(cache) == (1, 1)
    assert not mark.exists()


@posix
@pytest.mark.parametrize("umask", [0o2, 0, 0o77])
def test_machine_code_is_kept_whatever_the_umask(tmp_path, umask):
    assert run(tmp_path, umask) == (1, 0)
    assert run(tmp_path, umask) == (1, 1)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in machine_code(tmp_path))


@posix
def test_numbas_own_folder_is_trusted_only_if_it_is_ours_alone(tmp_path):
    kept = tmp_path / "numba"
    for expected in (0, 1):
        assert run(tmp_path, NUMBA_CACHE_DIR=str(kept)) == (1, expected)
    (inner,) = kept.iterdir()
    inner.chmod(0o777)
    for _ in range(2):
        assert run(tmp_path, NUMBA_CACHE_DIR=str(kept)) == (1, 0)


def test_a_full_disk_or_a_folder_that_can_only_be_read_is_no_failure(tmp_path, monkeypatch):
    pytest.importorskip("numba")
    from tinygrad_rnn.compiler.runtime import cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write = cache.write_whole

    def fails_there(path, content):
        if tmp_path in path.parents:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(cache, "write_whole", fails_there)
    a = np.full((41, 61), 3.0)
    np.testing.assert_allclose(tr.compile(lambda x: np.cos(x) * 3 - 1, executor="numba")(a).data, np.cos(a) * 3 - 1)
    assert not list((tmp_path / "tinygrad_rnn").glob("*.py"))
