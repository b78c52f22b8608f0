"""Suiren (燧人): a virtual AI-training accelerator.

It runs unmodified PyTorch training scripts on chips you do not own.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
