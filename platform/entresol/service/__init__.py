"""What every wire shares: the chain of links, the standard methods, the registry of custom methods."""
