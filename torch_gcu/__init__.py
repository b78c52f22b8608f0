"""`import torch_gcu` brings the device `gcu` and `torch.gcu`, as the real stack's package does.

The card is a T21, or what the environment variable SUIREN_CARD names.
"""

import os

from suiren.hw.load import resolve_card
from suiren.torch.session import Session

session = Session(resolve_card(os.environ.get("SUIREN_CARD", "t21")))
session.begin()
