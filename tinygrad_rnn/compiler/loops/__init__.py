"""The loop over time: what is hoisted out of it, what stays, and how one traced step becomes a loop."""
