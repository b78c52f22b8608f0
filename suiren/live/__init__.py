"""WHAT IS HAPPENING NOW: the virtual devices of running processes, for tables and dashboards."""
