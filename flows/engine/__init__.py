"""A campaign at work, without Prefect: its session, its planner here or in a process of its own, and the bench of a person."""
