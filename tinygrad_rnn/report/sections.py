"""The sections of the report: each turns findings into a piece of HTML. Everything that comes from data is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ..derivation.writing.page import fragment
from ..manual import worked_example as article
from ..viz.plots import smoothed
from .charts import Curve, line_chart
from .findings import FLOW_STEPS, CellFlow, Example, Learned

CELL = """\
def cell(x, h):
    h = np.tanh(x @ U + h @ W + b)
    return sigmoid(h @ V + c), h

outputs, _ = tr.unroll(cell, inputs, state=np.zeros(2))"""


def headlines(example: Example, flows: Sequence[CellFlow], learned: Learned) -> str:
    """The figures at the top."""
    worst = max(row.relative or 0.0 for row in example.comparison.rows)
    stable = [found for found in flows if found.flow.verdict == "stable"] or flows
    longest = max(stable, key=lambda found: found.flow.rate or 0.0)
    figures = [
        (
            f"{example.network.loss.item():.2f} → {example.new_loss:.2f}",
            "the article's loss, before and after one step",
        ),
        (f"{worst:.0e}", "largest relative difference of autograd and the formulas by hand"),
        (
            f"{longest.flow.rate or 0:.3f}",
            f"of a gradient is left after each step back ({longest.cell}, {longest.setting})",
        ),
        (f"{learned.bits:.2f}", f"bits per character on unseen text; {learned.bits_without:.2f} without a model"),
    ]
    return "".join(f"<li><b>{escape(figure)}</b>{escape(what)}</li>" for figure, what in figures)


def network(example: Example) -> str:
    """The worked example, its cell and its graph to explore."""
    return f"""
<p>The network of the article <cite>Under The Hood of Neural Networks. Part 2: Recurrent</cite> reads the numbers 1, 3,
5 in binary, one at each time step, and shall answer 5, 3, 1 in the three steps after. Its whole definition is plain
NumPy:</p>
<pre><code>{escape(CELL)}</code></pre>
<p>Running it on tensors records every operation. Unrolled through time, the loop becomes a graph without loops: a
column for each step, and each parameter once, with a tap at every use. Play the two passes, point at a node to see its
value and its gradient, or follow the paths from the loss of one step to a parameter.</p>
<iframe class="explore" title="The unrolled graph, to explore" srcdoc="{escape(example.picture.html)}"></iframe>"""


def derivation(example: Example) -> str:
    """Backpropagation through time of the worked example, written out."""
    return f"""
<p>What a person writes down for this network, the engine writes, too: it reads the equations off the recorded graph and
applies the rules of calculus to them, each equation once and not once a step. Beside each line stands why it is so.
Vectors are rows, as in the code; ⊙ multiplies element by element, and Δ is the derivative by what goes into tanh.</p>
<div class="scroll">{fragment(example.derivation.lines, heading="h3")}</div>
<p>Run as a NumPy program of its own (<code>derivation.source()</code>), these lines give autograd's gradients. Try it
yourself: <code>tinygrad-rnn derive worked-example --worksheet</code> leaves some of them blank, and marks what you fill
in.</p>"""


def three_ways(example: Example) -> str:
    """The three ways to the gradient (autograd, by hand, finite differences) beside the article's printed numbers."""
    printed = {entry.name: entry.value for entry in article.PRINTED}
    rows = []
    for row in example.comparison.rows:
        assert row.manual is not None and row.ruling is not None, "compared with referee='always'"
        numeric = row.ruling.numeric.reshape(row.shape)
        cells = [
            matrix(row.autograd, 4),
            matrix(row.manual, 4),
            matrix(numeric, 4),
            matrix(printed[f"dL/d{row.name}"], 2),
        ]
        verdict = f'<span class="{"agrees" if row.verdict == "agrees" else "differs"}">{escape(row.verdict)}</span>'
        rows.append(
            f'<tr><th scope="row" class="name">∂L/∂{escape(row.name)}</th>'
            + "".join(f"<td>{cell}</td>" for cell in cells)
            + f"<td>{verdict}<br>{row.absolute:.0e}</td></tr>"
        )
    return f"""
<p>Backpropagation through time is the chain rule on this graph. Three ways to the same numbers, none of which knows the
others: the engine walks the graph backward; <code>manual.elman</code> computes the article's formulas in NumPy alone;
finite differences only evaluate the loss. Beside them, what the article prints.</p>
<div class="scroll"><table>
<thead><tr><th></th><th>autograd</th><th>by hand</th><th>finite differences</th><th>printed in the article</th>
<th>apart</th></tr></thead>
<tbody>{"".join(rows)}</tbody></table></div>
<p>{escape(example.comparison.summary)} One step of gradient descent with learning rate {article.LEARNING_RATE} takes
the loss from {example.network.loss.item():.2f} to {example.new_loss:.2f}, as in the article.</p>"""


def paths(example: Example) -> str:
    """The table of terms of BPTT."""
    norms = example.terms.norms
    steps = range(1, norms.shape[1] + 1)
    body = []
    for t, row in zip(example.terms.rows, norms):
        cells = "".join(_heat(norm, norms.max()) if k <= t else '<td class="none"></td>' for k, norm in zip(steps, row))
        body.append(f'<tr><th scope="row">L<sub>{t}</sub></th>{cells}</tr>')
    head = "".join(f"<th>k = {k}</th>" for k in steps)
    return f"""
<p>W is used at every step, so it acts on each loss along many paths: it changes the state h<sub>k</sub>, and what it
does there travels on to h<sub>t</sub>. The gradient is the sum over all of them,</p>
<p class="formula">∂L/∂W = Σ<sub>t</sub> Σ<sub>k ≤ t</sub>
∂L<sub>t</sub>/∂h<sub>t</sub> · ∂h<sub>t</sub>/∂h<sub>k</sub> · ∂⁺h<sub>k</sub>/∂W,</p>
<p>and these are the sizes of its terms: a row for each loss, a column for each step at which W is used. The further
back, the smaller: the gradient vanishes, already over six steps. (At step 1 nothing is added, since h<sub>0</sub> is
zero.)</p>
<div class="scroll"><table class="heat"><thead><tr><th></th>{head}</tr></thead>
<tbody>{"".join(body)}</tbody></table></div>
<p>The engine collects these terms in one observed walk for each loss; <code>manual.paths</code> multiplies the
Jacobians out as the formula is written. They differ by {example.apart:.0e} at most.</p>"""


def article_slips(example: Example) -> str:
    """The lines of the article that differ from its formulas."""
    rows = "".join(
        f"<tr><td>{escape(slip.where)}</td><td>{escape(slip.article_prints)}</td><td>{escape(slip.formulas_give)}</td>"
        f"<td>{escape(slip.why)}</td></tr>"
        for slip in example.slips
    )
    return f"""
<p>The article's totals, losses and update are right. {len(example.slips)} of its lines on the way are slips, which one
meets when one checks it by hand. Here they are, in its own letters, with what its formulas give.</p>
<details><summary>The {len(example.slips)} slips</summary><div class="scroll"><table>
<thead><tr><th>where</th><th>printed</th><th>should be</th><th>because</th></tr></thead>
<tbody>{rows}</tbody></table></div></details>"""


def gradient_flows(flows: Sequence[CellFlow]) -> str:
    """The reach of a gradient in an RNN, an LSTM and a GRU."""
    curves = [
        Curve(
            f"{found.cell}, {found.setting}",
            found.flow.steps,
            found.flow.carried / found.flow.carried[-1],
            f"c{i // 2}{' dashed' if i % 2 == 0 else ''}",
        )
        for i, found in enumerate(flows)
    ]
    chart = line_chart(
        curves,
        x_label="time step t",
        y_label="share of the gradient",
        description=f"What arrives at step t of the gradient of the loss at step {FLOW_STEPS}, for six cells",
        logarithmic=True,
    )
    rows = "".join(
        f"<tr><td>{escape(found.cell)}</td><td>{escape(found.setting)}</td>"
        f"<td>{_power(found.flow.carried[0] / found.flow.carried[-1])}</td>"
        f'<td>{found.flow.rate or 0:.3f}</td><td class="{found.flow.verdict}">{found.flow.verdict}</td></tr>'
        for found in flows
    )
    return f"""
<p>Every step back multiplies a gradient by ∂h<sub>t</sub>/∂h<sub>t-1</sub>. If that is 0.9 on the whole, then after 50
steps 0.9<sup>50</sup> = {0.9**50:.4f} of it is left; at 1.9 it has grown {_power(1.9**50)}-fold. Here the loss is taken
at step {FLOW_STEPS} alone, and the curves show what of its gradient arrives at the steps before.</p>
<figure>{chart}</figure>
<div class="scroll"><table>
<thead><tr><th>cell</th><th></th><th>arrives at step 1</th><th>per step</th><th>verdict</th></tr></thead>
<tbody>{rows}</tbody></table></div>
<p>LSTM and GRU are no cure by themselves: as they are initialised their gates are half closed, and the gradient
vanishes as it does in an RNN. What they offer is a gate that can learn to stay open, and then the state, with its
gradient, is handed on nearly unchanged.</p>"""


def writing(learned: Learned) -> str:
    """The training curve, and the model's texts before and after training."""
    history = learned.history
    step = np.arange(1, history.step + 1)
    nats = np.log(2)
    rate = history.symbols / max(history.seconds, 1e-9)
    chart = line_chart(
        [
            Curve("", step, history.losses / nats, "c0 faint"),
            Curve("bits per character, running mean", step, smoothed(history.losses, 0.9) / nats, "c0"),
            Curve("without a model", step, np.full(history.step, learned.bits_without), "c1 dashed"),
        ],
        x_label="training step",
        y_label="bits per character",
        description=f"The loss over {history.step:,} training steps",
    )
    return f"""
<p>A character model ({learned.model.num_parameters():,} numbers, its cell an LSTM) reads {escape(learned.source)}
({learned.length:,} characters), and learns to say which character comes next: {history.step:,} steps in
{history.seconds:.0f} seconds, on one thread, {rate:,.0f} characters a second.</p>
<figure>{chart}</figure>
<p>On the end of the text, which was kept from it, it needs {learned.bits:.2f} bits a character. Given the beginning of
a paragraph there, it goes on:</p>
<div class="samples"><div><h3>Before training</h3>{_sample(learned, learned.before)}</div>
<div><h3>After {history.seconds:.0f} seconds</h3>{_sample(learned, learned.after)}</div></div>"""


def reading() -> str:
    """Suggestions for what to do next."""
    return """
<p>Check a derivation of your own, look at your own network, train on your own text:</p>
<pre><code>tinygrad-rnn compare my_bptt.py:backward     # called with U, W, V, b, c, the inputs and the targets above
tinygrad-rnn draw my_model.py:loss --out graph.html
tinygrad-rnn train book.txt --out book       # Ctrl-C, and --resume goes on, bit for bit
tinygrad-rnn sample book</code></pre>
<p>The engine is meant to be read, in an afternoon, in this order: <code>autodiff/scalar.py</code> (the idea, one number
at a time), <code>autodiff/registry.py</code> (what a primitive is), <code>autodiff/rules/elementwise.py</code> (the
rules of calculus), <code>autodiff/tensor.py</code>, <code>autodiff/graph.py</code> (the walk back),
<code>nn/unroll.py</code> (time is a loop), <code>manual/elman.py</code> (the same by hand),
<code>comparison/side_by_side.py</code>.</p>
<p>And the papers: Williams and Zipser, <cite>A learning algorithm for continually running fully recurrent neural
networks</cite> (1989). Elman, <cite>Finding structure in time</cite> (1990). Werbos, <cite>Backpropagation through
time: what it does and how to do it</cite> (1990). Bengio, Simard and Frasconi, <cite>Learning long-term dependencies
with gradient descent is difficult</cite> (1994). Hochreiter and Schmidhuber, <cite>Long short-term memory</cite>
(1997). Pascanu, Mikolov and Bengio, <cite>On the difficulty of training recurrent neural networks</cite> (2013).</p>"""


def matrix(array: np.ndarray, digits: int) -> str:
    """A matrix, or a vector as one row, as a table without lines."""
    rows = np.atleast_2d(np.round(array, digits) + 0.0)  # adding 0 turns -0 into 0
    return (
        '<table class="matrix">'
        + "".join("<tr>" + "".join(f"<td>{x:.{digits}f}</td>" for x in row) + "</tr>" for row in rows)
        + "</table>"
    )


def _heat(norm: float, largest: float) -> str:
    """A cell as dark as its number is large, on a logarithmic scale over four powers of ten."""
    if norm == 0:
        return '<td class="none">0</td>'
    share = max(0.05, 0.75 * (1 + np.log10(norm / largest) / 4))
    return f'<td style="--share:{share:.2f}">{norm:.1e}</td>'


def _power(x: float) -> str:
    """A number; a very large or small one as a power of ten."""
    if 1e-3 <= x < 1e5:
        return f"{x:.3g}" if x < 100 else f"{x:,.0f}"
    mantissa, exponent = f"{x:.1e}".split("e")
    return f"{mantissa} · 10<sup>{int(exponent)}</sup>"


def _sample(learned: Learned, text: str) -> str:
    rest = text.removeprefix(learned.prime)
    return f'<pre><span class="prime">{escape(learned.prime)}</span>{escape(rest)}</pre>'
