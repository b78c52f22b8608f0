"""The commands of `suiren`, one file each."""
