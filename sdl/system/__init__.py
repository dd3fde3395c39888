"""The operating system: files that are written whole, processes, the clock, and places where tests kill a process."""
