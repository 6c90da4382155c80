"""Every program that a test of the compiler makes is checked after each pass, and printed."""

import pytest

import tinygrad_rnn as tr
from tests.compiler.agreement import DEFAULT
from tinygrad_rnn.compiler import generate, plans
from tinygrad_rnn.compiler.program.verify import verify


@pytest.fixture(autouse=True, scope="session")
def default_executor():
    """Let a whole run of the tests try another executor than NumPy."""
    keywords = tr.compile.__kwdefaults__
    before, keywords["executor"] = keywords["executor"], DEFAULT
    yield
    keywords["executor"] = before


def pytest_collection_modifyitems(items):
    """Leave out what is about other executors than the one that the run tries."""
    for item in items:
        for marker in item.iter_markers("only_for"):
            if DEFAULT not in marker.args:
                item.add_marker(
                    pytest.mark.skip(reason=f"only for {' and '.join(marker.args)}: {marker.kwargs['reason']}")
                )


def checked(a_pass):
    def run(*args, **keywords):
        program = a_pass(*args, **keywords)
        verify(program)
        assert str(program).startswith("given\n")
        return program

    return run


@pytest.fixture(autouse=True)
def programs_are_well_formed(monkeypatch):
    for module, name in ((plans, "traced"), (generate, "fissioned"), (generate, "differentiated")):
        monkeypatch.setattr(module, name, checked(getattr(module, name)))
