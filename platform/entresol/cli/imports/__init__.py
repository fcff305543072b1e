"""Loading files into resources: source rows, mapped to messages, inserted in batches that can be resumed."""
