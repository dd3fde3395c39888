"""What a campaign knows when it decides: its readings as rows, and what they say of each target."""
