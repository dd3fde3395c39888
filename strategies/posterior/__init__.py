"""What all readings so far say of every setting, as one posterior that all decisions ask."""
