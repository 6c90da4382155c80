"""Names that aren't there say how to write it: NumPy's way, where a thing lives, or what was meant."""

from __future__ import annotations

import copy
import re

import numpy as np
import pytest

import tinygrad_rnn as tr
from tinygrad_rnn.autodiff.did_you_mean import FROM_TORCH, IN_PLACE, IN_ROOMS, OF_HISTORIES, OF_MODELS, OWN


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tanh", r"np\.tanh\(x\)"),
        ("exp", r"np\.exp\(x\)"),
        ("matmul", r"np\.matmul\(x, y\)"),
        ("einsum", r"np\.einsum\(\.\.\.\)"),
        ("flatten", r"a method, x\.flatten"),
        ("nan", r"write np\.nan$"),
        ("jit", r"write tr\.compile\(cell\)"),
        ("zeros", r"np\.zeros\(\.\.\.\), or tr\.tensor\(np\.zeros\(\.\.\.\), requires_grad=True\)"),
        ("ones", r"np\.ones"),
        ("cat", r"np\.concatenate"),
        ("stack", r"np\.stack"),
        ("randn", r"default_rng"),
        ("unsqueeze", r"np\.expand_dims"),
        ("LSTM", r"it is tr\.nn\.LSTM"),
        ("Adam", r"it is tr\.optim\.Adam"),
        ("cross_entropy", r"it is tr\.nn\.cross_entropy"),
        ("gradient_flow", r"it is tr\.explanation\.gradient_flow"),
        ("tensr", r"did you mean tr\.tensor\?"),
        ("value_and_grads", r"did you mean tr\.value_and_grad\?"),
        ("save", r"nn\.save_weights\(model\.state_dict\(\), path\)"),
        ("float32", r"write np\.float32$"),
        ("CrossEntropyLoss", r"write nn\.cross_entropy\(logits, classes\)"),
        ("quite_another_thing", r"tinygrad_rnn has no 'quite_another_thing'$"),
    ],
)
def test_the_package_says_how_to_write_it(name, said):
    with pytest.raises(AttributeError, match=said):
        getattr(tr, name)
    assert not hasattr(tr, name)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tanh", r"np\.tanh\(x\)"),
        ("exp", r"np\.exp\(x\)"),
        ("sigmoid", r"tr\.sigmoid\(x\)"),
        ("softmax", r"tr\.softmax\(x\)"),
        ("unsqueeze", r"np\.expand_dims"),
        ("permute", r"np\.transpose"),
        ("view", r"x\.reshape"),
        ("sub_", r"no_grad.*x -= other"),
        ("zero_", r"no_grad.*x\[\.\.\.\] = 0"),
        ("requires_grad_", r"x\.requires_grad = True"),
        ("detch", r"did you mean x\.detach\?"),
        ("shap", r"did you mean x\.shape\?"),
        ("nbytes", r"its array has; write x\.data\.nbytes"),
        ("grad_fn", r"tr\.draw\(x\)"),
        ("zero_grad", r"x\.grad = None"),
        ("no_such_thing", r"a Tensor has no attribute 'no_such_thing'$"),
    ],
)
def test_a_tensor_says_how_to_write_it(name, said):
    for x in (tr.tensor([1.0], requires_grad=True), tr.nn.Parameter(np.ones(2)), np.tanh(tr.tensor([1.0]))):
        with pytest.raises(AttributeError, match=said):
            getattr(x, name)
        assert not hasattr(x, name)


@pytest.mark.parametrize(
    ("room", "name", "said"),
    [
        ("nn", "LSTN", r"did you mean nn\.LSTM\?"),
        ("nn", "ReLU", r"write tr\.relu\(x\)"),
        ("nn", "functional", r"nn\.cross_entropy, tr\.relu, np\.tanh"),
        ("optim", "Adm", r"did you mean optim\.Adam\?"),
        ("optim", "lr_scheduler", r"optim\.StepLR"),
        ("training", "CsvLogger", r"did you mean training\.CSVLogger\?"),
        ("explanation", "gradient_flows", r"did you mean explanation\.gradient_flow\?"),
        ("viz", "drawn", r"did you mean viz\.draw\?"),
        ("data", "DataLoader", r"data\.Batches"),
        ("data", "Batchs", r"did you mean data\.Batche?s?\?"),
        ("language", "LanguageModels", r"did you mean language\.LanguageModel\?"),
        ("nn", "quite_another_thing", r"no attribute 'quite_another_thing'$"),
    ],
)
def test_a_room_says_how_to_write_it(room, name, said):
    with pytest.raises(AttributeError, match=said):
        getattr(getattr(tr, room), name)
    assert not hasattr(getattr(tr, room), name)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tr.nn.LSTM(3, hidden_size=4), r"LSTM takes no hidden_size=: write units="),
        (lambda: tr.nn.LSTM(3, 4, layers=2), r"LSTM takes no layers=: write num_layers="),
        (lambda: tr.nn.Linear(3, 4, device="cpu"), r"leave it out, arrays are on the CPU"),
        (lambda: tr.optim.Adam([tr.nn.Parameter(1.0)], learning_rate=0.1), r"write lr="),
        (lambda: tr.fit(None, None, "mse", verbose=0), r"fit\(\) takes no verbose=: write progress="),
        (lambda: tr.tensor([1.0]).sum(dim=0), r"does not take dim=\. Write axis=\."),
    ],
)
def test_other_libraries_keywords_say_how_to_write_it(call, said):
    with pytest.raises(TypeError, match=said):
        call()


class Sized(tr.nn.Module):
    def __init__(self, hidden_size):
        self.W = tr.nn.Parameter(np.eye(hidden_size))


def test_a_class_of_ones_own_may_have_other_libraries_keywords():
    assert copy.deepcopy(Sized(hidden_size=2)).W.shape == (2, 2)


class Broken(tr.nn.Module):
    @property
    def width(self):
        return self.witdh


@pytest.mark.parametrize(
    ("made", "name", "said"),
    [
        (lambda: tr.nn.LSTM(2, 3), "fit", r"'LSTM' object has no attribute 'fit': write tr\.fit\(model"),
        (lambda: tr.nn.Linear(2, 3), "weight", r"W or U of most layers"),
        (lambda: tr.nn.Linear(2, 3), "save", r"nn\.save_weights\(model\.state_dict\(\), path\)"),
        (Broken, "width", r"'Broken' object has no attribute 'witdh'$"),
        (lambda: tr.draw(tr.tensor(1.0)), "show", r"picture\.save\(\"page\.html\"\)"),
        (tr.training.History, "history", r"history\.losses.*to_frame"),
    ],
)
def test_a_model_a_history_and_a_picture_say_how_to_write_it(made, name, said):
    with pytest.raises(AttributeError, match=said):
        getattr(made(), name)
    assert not hasattr(made(), name)


@pytest.mark.parametrize("written", IN_ROOMS.values())
def test_what_stands_for_pytorchs_names_is_there(written):
    for room, name in re.findall(r"\b(nn|optim|data|tr|np)\.(\w+)", written):
        assert hasattr({"tr": tr, "np": np}.get(room) or getattr(tr, room), name), written


def test_only_what_is_not_there_is_in_the_tables():
    assert not [name for name in OF_MODELS if hasattr(tr.nn.Module, name)]
    assert not [name for name in OF_HISTORIES if hasattr(tr.training.History(), name)]
    x = tr.tensor([1.0])
    assert not [name for name in (*FROM_TORCH, *IN_PLACE) if hasattr(tr, name) or hasattr(x, name)]
    assert all(callable(getattr(tr, name)) and not hasattr(np, name) for name in OWN)


@pytest.mark.parametrize("written", IN_PLACE.values())
def test_what_is_shown_for_in_place_methods_works(written):
    x = tr.tensor([4.0, 6.0], requires_grad=True)
    with tr.no_grad():
        exec(written.format(x="x"), {"x": x, "other": np.array([2.0, 3.0]), "value": 1.0})
    assert x.is_leaf and not np.array_equal(x.data, [4.0, 6.0])


def test_the_package_lists_its_public_names_and_no_others():
    assert dir(tr) == sorted(tr.__all__)
    assert all(getattr(tr, name) is not None for name in dir(tr))
    assert {"tensor", "unroll", "draw", "nn", "explanation"} <= set(dir(tr))
    assert not [name for name in dir(tr) if name.startswith("_") or name in ("annotations", "importlib", "Any", "sys")]


def test_programs_that_ask_for_special_names_get_a_plain_no():
    x = tr.tensor([1.0], requires_grad=True)
    assert not hasattr(x, "__array_interface__") and not hasattr(tr, "__path_hooks__")
    assert copy.deepcopy(x).data == x.data


def test_a_class_of_the_users_takes_what_its_options_take():
    class Model(tr.nn.Module):
        def __init__(self, **options):
            self.options = options

    assert Model(layers=3, device="here").options == {"layers": 3, "device": "here"}
