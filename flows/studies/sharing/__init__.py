"""Private models: made of rows to be given away, and asked without them."""
