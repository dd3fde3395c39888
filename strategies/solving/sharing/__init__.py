"""A private model that is given away: what it costs and tells before, and what it answers without rows after."""
