"""The planner: which layout of which machine trains a model best."""
