"""A campaign at work, without Prefect: its session, its planner, and the bench of a person."""
