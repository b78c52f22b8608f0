"""WHAT TO CHANGE: alternatives to a step, each simulated on the same card."""
