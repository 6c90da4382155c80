"""Equations: the lines of a derivation as data, and the rewriting of their right-hand sides.

- ``expressions``: right-hand sides, as small immutable trees; ``making`` builds them, ``parts`` reads and alters them.
- ``quantities``: the values of a network, each with its equations; ``lines``: the equations in the order of reading;
  ``order``: the order in which they can be computed.
- ``entries``: the form of an equation for one entry of a parameter.
- ``simplifying``: rewriting as a person does it, by ``arithmetic`` (sums and products), ``axes`` (views) and
  ``choices`` (conditions).
- ``recognising``: formulas that have a name, such as a softmax; ``norms``: the derivatives of normalised values.
"""
