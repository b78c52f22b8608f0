"""A COMPUTING CENTRE: nodes, racks, network, power, failures and money around training jobs.

`file.py` reads a description, `site.py` makes a `Centre` of it, `study.py` asks everything of it.
Every price is the user's own input; every other number is a fact with source and kind.
"""
