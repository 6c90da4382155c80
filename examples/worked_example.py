"""Every number of "Under The Hood of Neural Networks. Part 2: Recurrent", computed three times.

The article trains a small network to reverse a sequence: it reads 1, 3, 5 as binary numbers, one a step, and shall
answer 5, 3, 1 in the three steps after. All its numbers are printed to two decimals; here they are computed by
autograd, by the formulas that the article derives (``tinygrad_rnn.manual``), and by the engine that has one node for
every number.

Its letters are not ours: W_s, U, W_o, B_s, B_o are U, W, V, b, c here. Its loss is one-sided, L_t = -Σ y_t log o_t:
what an output should *not* have said costs nothing.

Run it: ``python examples/worked_example.py``
"""

from __future__ import annotations

import numpy as np

import tinygrad_rnn as tr
from tinygrad_rnn.manual import worked_example as article
from tinygrad_rnn.manual.letters import UNDER_THE_HOOD
from tinygrad_rnn.manual.worked_example_slips import slips


def network(U, W, V, b, c, xs=article.INPUTS):
    """States s_1..s_6 and outputs o_1..o_6. It runs on arrays, on Tensors and on Scalars alike."""

    def cell(x, s):
        return np.tanh(x @ U + s @ W + b)

    states, _ = tr.unroll(cell, xs, state=np.zeros(2))
    return states, tr.sigmoid(states @ V + c)


def loss_terms(outputs):
    """L_4, L_5 and L_6, by time step."""
    return {t: -(y * np.log(outputs[t - 1])).sum() for t, y in zip(article.OUTPUT_STEPS, article.TARGETS)}


def by_autograd(params, steps=article.OUTPUT_STEPS):
    """The sum of the loss terms at these steps, and its gradient with respect to each parameter."""
    tensors = {name: tr.tensor(value, requires_grad=True, name=name) for name, value in params.items()}
    _, outputs = network(**tensors)
    loss = sum(loss_terms(outputs)[t] for t in steps)
    loss.backward()
    return loss.item(), {name: t.grad for name, t in tensors.items()}


def by_scalars(params, steps=article.OUTPUT_STEPS):
    """The same with one node for each number."""
    numbers = {name: tr.scalars(value, name=name) for name, value in params.items()}
    _, outputs = network(**numbers, xs=tr.scalars(article.INPUTS, requires_grad=False))
    loss = sum(loss_terms(outputs)[t] for t in steps)
    loss.backward()
    return loss.data, {name: tr.gradients(array) for name, array in numbers.items()}


def by_hand(params, steps=article.OUTPUT_STEPS):
    """The same by the formulas of the article; NumPy alone."""
    trace, back = article.run(article.ElmanParams(**params), steps)
    return float(trace.loss), back.gradients._asdict()


def main():
    """Print the article's totals beside ours, one step of gradient descent, and the article's slips."""
    params = article.PARAMS._asdict()
    ways = {"autograd": by_autograd, "by hand": by_hand, "scalars": by_scalars}
    results = {way: compute(params) for way, compute in ways.items()}
    printed = {p.name: p.value for p in article.PRINTED}

    states, outputs = network(**params)
    for t, (s, o) in enumerate(zip(states.numpy(), outputs.numpy()), start=1):
        print(f"t = {t}   state {s.round(2)}   output {o.round(2) if t in article.OUTPUT_STEPS else 'not used'}")
    print("The loss. The article prints 3.30;", ", ".join(f"{way} {loss:.2f}" for way, (loss, _) in results.items()))
    for name in params:
        letter = getattr(UNDER_THE_HOOD, name)
        print(f"\nThe gradient of {letter} ({name} here). The article prints\n{printed[f'dL/d{name}']}")
        for way, (_, gradients) in results.items():
            agrees = article.agrees(printed[f"dL/d{name}"], gradients[name])
            print(f"{way:>10}: {'the same to its two decimals' if agrees else gradients[name].round(4)}")

    print("\nThe article also prints the five gradients of each L_t:")
    for t in article.OUTPUT_STEPS:
        for way, compute in ways.items():
            _, gradients = compute(params, (t,))
            differing = [n for n, g in gradients.items() if not article.agrees(printed[f"L{t}: dL/d{n}"], g)]
            print(f"{way:>10}: those of L_{t} {'differ in ' + ', '.join(differing) if differing else 'are the same'}")

    new = {name: value - article.LEARNING_RATE * results["autograd"][1][name] for name, value in params.items()}
    print("\nAfter one step with learning rate 0.5 the article's loss is 1.36;", end=" ")
    print(", ".join(f"{way} {compute(new)[0]:.2f}" for way, compute in ways.items()))

    print("\nIts totals are right. Some lines on the way to them are slips:")
    for slip in slips():
        print(f"\n  {slip.where}")
        print(f"    the article prints  {slip.article_prints}\n    the formulas give   {slip.formulas_give}")


if __name__ == "__main__":
    main()
