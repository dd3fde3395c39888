"""Other sources than the instrument: what they tell of its response, and whether one is worth asking next."""
