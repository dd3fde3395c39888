"""A campaign at work, without Prefect: its session, its planner in this process or another, and the bench of a person."""
