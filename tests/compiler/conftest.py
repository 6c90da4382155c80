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


ABOUT_GENERATED_CODE = {  # workspaces, the text of plans, failures of it: not of a program on JAX
    "test_sums_are_put_in_an_order_in_which_more_can_leave",
    "test_a_failure_of_generated_code_alone_is_raised",
    "test_a_failure_holds_no_arrays_once_it_is_dealt_with",
    "test_many_graphs_at_once_leave_few_workspaces_behind",
}


def pytest_collection_modifyitems(items):
    """Leave out what another executor than NumPy's can't be asked."""
    for item in items:
        if DEFAULT == "jax" and getattr(item, "originalname", "") in ABOUT_GENERATED_CODE:
            item.add_marker(pytest.mark.skip(reason="about generated code"))


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
