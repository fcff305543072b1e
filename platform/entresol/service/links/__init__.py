"""The links of the chain, one file each: `async def link(following, request, call)`."""
