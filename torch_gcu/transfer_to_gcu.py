"""`from torch_gcu import transfer_to_gcu`: from here on `cuda` means the card."""

from suiren.torch import transfer

transfer.install()
