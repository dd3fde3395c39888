"""What a person writes of targets, of readings of today and of what is known of knobs, as these studies take it."""
