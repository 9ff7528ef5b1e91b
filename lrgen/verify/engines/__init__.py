"""Engines: files are executed in processes of this machine or on a Ray cluster."""
