"""Tiny models of every architecture that transformers knows, and one step of each."""
