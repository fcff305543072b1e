"""What `entresol verify` does beside production: follow commits, read as a client, compare, and report."""
