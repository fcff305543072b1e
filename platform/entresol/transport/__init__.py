"""The wires: each turns bytes and metadata into a call of the method table, and the reply or status back."""
