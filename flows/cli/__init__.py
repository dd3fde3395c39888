"""The command line, one group of commands a file."""

from flows.cli.app import main

__all__ = ["main"]
