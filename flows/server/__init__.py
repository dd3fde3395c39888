"""A Prefect server of our own: its process, its database, its workarounds, and the lock of the service."""
