"""Forward networks, from settings to readings, and how they are trained."""
