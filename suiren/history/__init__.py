"""WHAT WAS ASKED BEFORE: every answer in an embedded store, and what differs between two."""
