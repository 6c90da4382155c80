"""Random programs: how they are drawn (``grammar``) and judged (``judging``); a long run by hand (``__main__``)."""
