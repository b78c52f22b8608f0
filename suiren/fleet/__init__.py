"""MANY CHIPS: networks, collectives, ranks that meet, one training step of a cluster."""
