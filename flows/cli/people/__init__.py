"""Commands of persons: steering, readings by hand, who they are, and the agents that they let in."""
