"""Flows that a person starts by hand: measure, verify, survey, calibrate, and the controls of a campaign."""
