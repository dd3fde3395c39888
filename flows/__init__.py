"""Orchestration: each flow reads as the plan, each step is a call into the layers below; the command line."""
