"""Jobs: work that goes on after the call that asked for it, on machines of its own, and survives any of them."""
