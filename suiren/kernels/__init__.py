"""The operator library: every kernel written in the language of `core`, one family a file."""
