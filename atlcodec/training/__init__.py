"""Training: PyTorch lives here and nowhere else. Install it with `pip install atlcodec[train]`."""
