"""Batches: resources that are computed of many rows, by whichever engine fits, and shown whole or as they were."""
