"""What Prefect's UI shows of a campaign: events, artifacts, and the observer that keeps them up to date."""
