"""The campaign as a Prefect flow: the flow, its tasks, its waits, and the sweep over targets and seeds."""
