"""Claude-Light: its channels, its driver, its twin, and recordings of it played back."""
