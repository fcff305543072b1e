"""The links of the chain: each `def link(following, request, call)` gives the reply, or what to await for it."""
