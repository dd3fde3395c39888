"""What a newcomer begins with: the folder of an instrument of one's own, and a campaign file."""
