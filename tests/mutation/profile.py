"""A Hypothesis profile for planted mistakes: the first example that fails is enough, and none is made smaller."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutation",
    settings.get_profile("ci"),
    max_examples=10,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
)
