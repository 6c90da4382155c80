"""The line of a user's own function in which a slip was planted: ``compare`` says which it is."""

from __future__ import annotations

import itertools
import linecache
import types

import numpy as np
import pytest

import tinygrad_rnn as tr

RNG = np.random.default_rng(5)
XS, YS = RNG.normal(size=(4, 3, 2)), RNG.normal(size=(4, 3, 2))
PARAMETERS = {
    name: RNG.normal(size=size) * 0.7 for name, size in {"U": (2, 4), "W": (4, 4), "b": 4, "V": (4, 2)}.items()
}


def loss(p, xs, ys):
    h, total = np.zeros((3, 4)), 0
    for x, y in zip(xs, ys):
        h = 0.8 * h + 0.2 * np.tanh(x @ p["U"] + h @ p["W"] + p["b"])
        total = total + np.sum((h @ p["V"] - y) ** 2)
    return total / 12


IN_A_LOOP = """
def by_hand(p, xs, ys):
    h, c = np.zeros((5, 3, 4)), np.zeros((5, 3, 4))
    for t in range(1, 5):
        c[t] = np.tanh(xs[t - 1] @ p["U"] + h[t - 1] @ p["W"] + p["b"])
        h[t] = 0.8 * h[t - 1] + 0.2 * c[t]
    grads = {name: 0 for name in p}
    later = np.zeros((3, 4))
    for t in range(4, 0, -1):
        error = (h[t] @ p["V"] - ys[t - 1]) / 6
        grads["V"] = grads["V"] + h[t].T @ error
        dh = error @ p["V"].T + later
        slope = 1 - c[t] ** 2
        dz = 0.2 * dh * slope
        grads["U"] = grads["U"] + xs[t - 1].T @ dz
        grads["W"] = grads["W"] + h[t - 1].T @ dz
        grads["b"] = grads["b"] + dz.sum(axis=0)
        later = 0.8 * dh + dz @ p["W"].T
    return grads
"""
AS_AN_OBJECT = """
class Leaky:
    def forward(self, p, xs, ys):
        self.p, self.xs, self.ys = p, xs, ys
        self.states, self.candidates = [np.zeros((3, 4))], []
        for x in xs:
            before = self.states[-1]
            self.candidates.append(np.tanh(x @ p["U"] + before @ p["W"] + p["b"]))
            self.states.append(0.8 * before + 0.2 * self.candidates[-1])

    def backward(self):
        self.dU, self.dW, self.db, self.dV = (np.zeros_like(self.p[name]) for name in "UWbV")
        self.later = np.zeros((3, 4))
        for t in reversed(range(4)):
            self.step(t)

    def step(self, t):
        error = (self.states[t + 1] @ self.p["V"] - self.ys[t]) / 6
        self.dV += self.states[t + 1].T @ error
        arriving = error @ self.p["V"].T + self.later
        delta = 0.2 * arriving * (1 - self.candidates[t] ** 2)
        self.dU += self.xs[t].T @ delta
        self.dW += self.states[t].T @ delta
        self.db += delta.sum(0)
        self.later = (
            0.8 * arriving
            + delta @ self.p["W"].T
        )

by_hand = Leaky()
"""
IN_COMPREHENSIONS = """
def by_hand(p, xs, ys):
    h = np.zeros((3, 4))
    pairs = [(c := np.tanh(x @ p["U"] + h @ p["W"] + p["b"]), h := 0.8 * h + 0.2 * c) for x in xs]
    cs, hs = [c for c, h in pairs], [np.zeros((3, 4))] + [h for c, h in pairs]
    errors = [
        (h @ p["V"] - y)
        / 6
        for h, y in zip(hs[1:], ys)
    ]
    later, dzs = np.zeros((3, 4)), []
    for error, c in zip(errors[::-1], cs[::-1]):
        dh = np.add(
            error @ p["V"].T,
            later,
        )
        dz = 0.2 * dh * (1 - c**2)
        dzs = [dz] + [dz for dz in dzs]
        later = np.add(
            0.8
            * dh,
            dz @ p["W"].T,
        )
    return {
        "U": sum([x.T @ dz for x, dz in zip(xs, dzs)]),
        "W": sum([h.T @ dz for h, dz in zip(hs, dzs)]),
        "b": sum([dz.sum(0) for dz in dzs]),
        "V": sum([h.T @ error for h, error in zip(hs[1:], errors)]),
    }
"""
SLIPS = {
    IN_A_LOOP: {
        "a slope left out": ("slope = 1 - c[t] ** 2", "slope = 1 - c[t]"),
        "a slope of the other value": ("slope = 1 - c[t] ** 2", "slope = 1 - h[t] ** 2"),
        "an odd function": ("dz = 0.2 * dh * slope", "dz = 0.2 * np.sin(dh) * slope"),
        "an odd error": ("- ys[t - 1]) / 6", "- ys[t - 1] ** 3) / 6"),
        "an odd carry": ("dz @ p[", "np.cos(dz) @ p["),
        "a carry cut": ("later = 0.8 * dh + dz @", "later = 0.8 * dh + np.clip(dz, -0.05, 0.05) @"),
        "a gradient of odd states": ("h[t - 1].T @ dz", "np.sqrt(np.abs(h[t - 1])).T @ dz"),
        "an odd sum": ("dz.sum(axis=0)", "np.sinh(dz.sum(axis=0))"),
    },
    AS_AN_OBJECT: {
        "a slope of a slope": ("** 2)\n", "** 2) ** 3\n"),
        "an odd gradient": ("self.xs[t].T @ delta", "self.xs[t].T @ delta ** 2"),
        "an odd path": ("error @ self.p", "np.tanh(error) @ self.p"),
        "in the middle of a statement": ("            + delta @", "            + np.tanh(delta) @", "self.later = ("),
    },
    IN_COMPREHENSIONS: {
        "a factor in a comprehension": ("        / 6", "        / 5", "errors = ["),
        "a slope between comprehensions": ("c**2", "c**4"),
        "an odd path of several lines": ("error @ p", "np.tanh(error) @ p", "dh = np.add("),
        "an odd carry of several lines": ("dz @ p[", "np.sin(dz) @ p[", "later = np.add("),
    },
}
COUNT = itertools.count()


def made(text):
    """The manual side in a module of its own, with its text at hand as that of a file is."""
    module, path = types.ModuleType("own"), f"own_{next(COUNT)}.py"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    module.__dict__["np"] = np
    exec(compile(text, path, "exec", dont_inherit=True), vars(module))
    return vars(module)["by_hand"]


@pytest.mark.parametrize("text", SLIPS)
def test_right_functions_agree(text):
    report = tr.compare(loss, made(text), PARAMETERS, (XS, YS))
    assert report.agrees and not report.notes


@pytest.mark.one_in(4)
@pytest.mark.parametrize(("text", "slip"), [(text, slip) for text in SLIPS for slip in SLIPS[text]])
def test_the_line_of_a_slip_is_told(text, slip):
    old, new, *told = SLIPS[text][slip]  # of a statement of several lines, the first is told
    assert text.count(old) == 1
    wrong = text.replace(old, new)
    report = tr.compare(loss, made(wrong), PARAMETERS, (XS, YS))
    said = report.sentences()
    line = told[0] if told else next(line.strip() for line in wrong.splitlines() if new.strip() in line)
    assert any("line" in sentence and f"`{line}`" in sentence for sentence in said), said
    assert any(diagnosis.complete for diagnosis in report.diagnoses), said


def test_what_belongs_there_is_told():
    text = IN_A_LOOP.replace("dz = 0.2 * dh * slope", "dz = 0.2 * np.sin(dh) * slope")
    report = tr.compare(loss, made(text), PARAMETERS, (XS, YS))
    (diagnosis,) = report.diagnoses
    assert diagnosis.mistake == "a line of your function"
    assert "line 14 of by_hand" in diagnosis.sentence and "0.2 ∂L/∂h_t ∘ (1 - " in diagnosis.sentence


def test_a_line_is_told_without_its_text_where_that_is_another_now():
    text = IN_A_LOOP.replace("dz = 0.2 * dh * slope", "dz = 0.2 * np.sin(dh) * slope")
    by_hand = made(text)
    path = by_hand.__code__.co_filename
    changed = text.replace("np.sin", "np.cos")
    linecache.cache[path] = (len(changed), None, changed.splitlines(keepends=True), path)
    report = tr.compare(loss, by_hand, PARAMETERS, (XS, YS))
    said = "\n".join(report.sentences())
    assert "np.cos" not in said and "of by_hand, where `dz` is assigned" in said


def test_a_mistake_in_what_is_returned_is_told_as_such():
    text = IN_A_LOOP.replace("return grads", "return {**grads, 'V': np.sin(grads['V'])}")
    report = tr.compare(loss, made(text), PARAMETERS, (XS, YS), seconds=5)
    assert any("what is returned is wrong" in note for note in report.notes)


def test_a_step_within_a_function_that_gives_what_is_right_is_not_suspect():
    """A softmax subtracts the largest number first, which the derivation doesn't."""
    helper = """
def moved(a):
    shifted = a - a.max(axis=1, keepdims=True)
    return shifted + a.max(axis=1, keepdims=True)
"""
    right = 'c[t] = np.tanh(xs[t - 1] @ p["U"] + h[t - 1] @ p["W"] + p["b"])'
    one = 'c[t] = np.tanh(moved(xs[t - 1] @ p["U"] + h[t - 1] @ p["W"] + p["b"]))'
    for new in (one, f"{one.replace('c[t]', 'c[t], x')}, xs[t - 1]"):  # the second assigns two right values
        given = helper + IN_A_LOOP.replace(right, new)
        wrong = given.replace("dz = 0.2 * dh * slope", "dz = np.clip(0.2 * dh * slope, -0.01, 0.01) + 0.001 * dh**3")
        report = tr.compare(loss, made(wrong), PARAMETERS, (XS, YS), seconds=2)
        said = [one for one in report.sentences() if ("line " in one and "of by_hand" in one) or "of moved" in one]
        assert said and all("0.001 * dh**3" in one for one in said), said


def test_arrays_have_no_lines():
    by_hand = made(IN_A_LOOP.replace("dz = 0.2 * dh * slope", "dz = 0.2 * np.sin(dh) * slope"))
    report = tr.compare(loss, by_hand(PARAMETERS, XS, YS), PARAMETERS, (XS, YS), seconds=3)
    assert not any("line" in note and "by_hand" in note for note in report.sentences())
