"""Physical laws with hidden parameters, as inverse models: a formula, the posterior of its parameters, and settings."""
