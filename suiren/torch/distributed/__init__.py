"""`torch.distributed` on the card: the backend `eccl`, values moved, and a record of who met."""
