"""Agents at the door: what they may read and propose over the Model Context Protocol, which sends no request."""
