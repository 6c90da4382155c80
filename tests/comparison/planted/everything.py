"""All networks into which slips are planted: importing this registers them."""

from __future__ import annotations

from importlib import import_module

from tests.comparison.planted.common import NETWORKS

for _name in ("plain", "gated", "kept", "composed", "systems", "units", "shapes_and_rates", "heads_and_delays",
              "likelihoods", "assembled", "tutorials", "coursework", "observed", "weighted", "carried",
              "square", "in_between", "sequences", "batched", "leaks_and_tasks", "between_steps",
              "readouts", "shares_and_bounds", "normalised", "posteriors", "left_padded", "stacks"):  # fmt: skip
    import_module(f"tests.comparison.planted.{_name}")

__all__ = ["NETWORKS"]
