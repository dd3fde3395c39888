"""Deep generative inverse models on PyTorch."""
