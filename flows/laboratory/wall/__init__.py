"""The page for the wall: the laboratory at a glance, served beside Prefect's UI, and what a person asks from it."""
