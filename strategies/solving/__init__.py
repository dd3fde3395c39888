"""Settings for a target from rows that exist already, with no instrument, and how far to believe them."""
