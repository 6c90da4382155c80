"""Generated code is kept where nobody else can write, and taken from nowhere else."""

import os

import numpy as np
import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import AS_PYTHON
from tests.compiler.new_process import nothing_compiled_yet
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
    for made in (folder, *list(folder.parents)[:2]):
        assert made.stat().st_mode & 0o777 == 0o700


@posix
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o770, 0o777, 0o1777])
def test_what_others_can_write_to_is_refused_and_left_as_it_is(folder, mode):
    folder.chmod(mode)
    assert is_refused(folder)
    assert folder.stat().st_mode & 0o7777 == mode


@posix
@pytest.mark.parametrize("mode", [0o700, 0o750, 0o755])
def test_what_others_can_only_read_is_taken(folder, mode):
    folder.chmod(mode)
    assert not is_refused(folder)


@as_root
def test_another_users_folder_is_refused(folder):
    os.chown(folder, NOBODY, NOBODY)
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


def test_a_link_is_refused_even_to_a_folder_of_ours(folder, tmp_path):
    folder.rename(tmp_path / "elsewhere")
    try:
        folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    except OSError:
        pytest.skip("no right to make links")
    assert is_refused(folder)


def test_a_file_in_the_place_of_the_folder_is_refused(folder):
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
    assert path.read_bytes() == b"a\nb\r\nc\n"
    assert [p.name for p in tmp_path.iterdir()] == ["code.py"]
    if code_folder.HAS_OWNERS:
        assert path.stat().st_mode & 0o777 == 0o600


def test_what_cant_be_written_leaves_nothing_behind(tmp_path):
    (tmp_path / "code.py").mkdir()
    with pytest.raises(OSError):
        code_folder.write_whole(tmp_path / "code.py", b"a")
    assert [p.name for p in tmp_path.iterdir()] == ["code.py"]


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
def test_a_file_that_others_may_have_written_isnt_trusted(tmp_path, spoil):
    path = tmp_path / "code"
    code_folder.write_whole(path, b"a")
    assert code_folder.is_trusted_file(path)
    spoil(path)
    assert not code_folder.is_trusted_file(path)


def run(folder, umask=0o22, **environment):
    """How many functions of machine code another process would run, and how many of them it would find."""
    pytest.importorskip("llvmlite")
    if AS_PYTHON:
        pytest.skip("nothing is compiled")
    from tinygrad_rnn.compiler.runtime import cache

    with nothing_compiled_yet(folder, **environment) as made:
        before = os.umask(umask)
        try:
            y = tr.compile(lambda x: np.tanh(x) * 2 + 1, executor="llvm")(np.ones((40, 60)))
        finally:
            os.umask(before)
        assert np.allclose(y.data, np.tanh(1) * 2 + 1)
        return len(cache._functions), len(cache._functions) - len(made)


def machine_code(cache):
    return sorted((cache / "tinygrad_rnn").glob("*.machine_code"))


@posix
@pytest.mark.parametrize("spoil", SPOILT)
def test_machine_code_that_others_may_have_written_isnt_run(tmp_path, spoil):
    cache = tmp_path / "cache"
    assert run(cache) == (1, 0)
    assert run(cache) == (1, 1)
    for path in machine_code(cache):
        spoil(path)
    assert run(cache) == (1, 0)
    assert run(cache) == (1, 1)  # it was made anew


@pytest.mark.parametrize(
    "damaged", [lambda code: b"", lambda code: b"nonsense", lambda code: code[:-1], lambda code: code[:40] + code[41:]]
)
def test_damaged_files_are_made_anew(tmp_path, damaged):
    run(tmp_path)
    (path,) = machine_code(tmp_path)
    path.write_bytes(damaged(path.read_bytes()))
    assert run(tmp_path) == (1, 0)
    assert run(tmp_path) == (1, 1)


@posix
@pytest.mark.parametrize("umask", [0o2, 0, 0o77])
def test_machine_code_is_kept_whatever_the_umask(tmp_path, umask):
    assert run(tmp_path, umask) == (1, 0)
    assert run(tmp_path, umask) == (1, 1)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in machine_code(tmp_path))


def test_a_full_disk_or_a_folder_that_can_only_be_read_is_no_failure(tmp_path, monkeypatch):
    pytest.importorskip("llvmlite")
    from tinygrad_rnn.compiler.runtime import cache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    write = cache.write_whole

    def fails_there(path, content):
        if tmp_path in path.parents:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(cache, "write_whole", fails_there)
    monkeypatch.setattr(cache, "_functions", {})
    a = np.full((41, 61), 3.0)
    np.testing.assert_allclose(tr.compile(lambda x: np.cos(x) * 3 - 1, executor="llvm")(a).data, np.cos(a) * 3 - 1)
    assert not machine_code(tmp_path)


# --- how much is kept ------------------------------------------------------------------------------------------------


def kept(folder, *names):
    """Entries of 1,000 bytes each, the first of which was used last."""
    for age, name in enumerate(names):
        path = folder / f"program_{name * 24}.machine_code"
        path.write_bytes(bytes(1000))
        os.utime(path, (10**9 - age, 10**9 - age))


def names(folder):
    return [entry.path.name.partition("_")[2][0] for entry in code_folder.entries(folder)]


def test_beyond_the_limit_the_oldest_use_goes_first(folder, monkeypatch):
    kept(folder, *"abcd")
    assert names(folder) == list("abcd")
    monkeypatch.setenv("TINYGRAD_RNN_CACHE_MIB", str(2500 / 2**20))
    code_folder.keep_within_limit(folder)
    assert names(folder) == list("ab")
    os.utime(folder / f"program_{'b' * 24}.machine_code")  # it is used again
    kept(folder, *"ac")
    code_folder.keep_within_limit(folder)
    assert names(folder) == list("ba")


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", 2**28),
        ("1", 2**20),
        ("0", 0),
        ("0.5", 2**19),
        ("-3", 0),
        ("much", 2**28),
        ("nan", 2**28),
        ("1e9", 10**9 * 2**20),
    ],
)
def test_the_limit_is_what_the_environment_says(monkeypatch, text, limit):
    monkeypatch.setenv("TINYGRAD_RNN_CACHE_MIB", text)
    assert code_folder.limit() == limit


def test_what_an_earlier_version_kept_in_a_folder_inside_counts(folder, monkeypatch):
    (folder / "__pycache__").mkdir()
    kept(folder / "__pycache__", "a")
    assert names(folder) == ["a"]
    monkeypatch.setenv("TINYGRAD_RNN_CACHE_MIB", "0")
    code_folder.keep_within_limit(folder)
    assert names(folder) == []


def test_what_isnt_machine_code_is_left_alone(folder, monkeypatch):
    (folder / "notes.txt").write_text("mine")
    kept(folder, "a")
    monkeypatch.setenv("TINYGRAD_RNN_CACHE_MIB", "0")
    code_folder.keep_within_limit(folder)
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["notes.txt"]


def test_use_is_noted_and_new_machine_code_takes_the_place_of_old(tmp_path):
    run(tmp_path)
    (path,) = machine_code(tmp_path)
    os.utime(path, (10**9, 10**9))
    assert run(tmp_path) == (1, 1)
    assert path.stat().st_mtime > 10**9
    assert run(tmp_path, TINYGRAD_RNN_CACHE_MIB="0") == (1, 1)
    path.unlink()
    assert run(tmp_path, TINYGRAD_RNN_CACHE_MIB="0") == (1, 0)
    assert not machine_code(tmp_path)
