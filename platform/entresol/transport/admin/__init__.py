"""The admin port of one process: what probes, collectors, consoles and people with curl ask it."""
