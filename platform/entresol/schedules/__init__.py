"""Schedules: jobs that put themselves in, once for each nominal time, whichever machines live."""
