"""The laboratory as a service: its file, its deployments, the runner of them, notifications, alarms and the doctor."""
