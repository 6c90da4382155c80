"""Every program that a test of the compiler makes is checked after each pass, and printed."""

import pytest

from tinygrad_rnn.compiler import generate, plans
from tinygrad_rnn.compiler.program.verify import verify


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
