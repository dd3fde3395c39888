"""Those that a scientist would otherwise pick to match a target, one a file, for the back-test."""
