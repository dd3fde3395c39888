"""The laboratory in a notebook: an instrument that is called like a function, and campaigns that show themselves."""
