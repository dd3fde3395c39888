"""What holds for every flow run: interrupts, messages of failure, fixed parameters, missed schedules and slots."""
