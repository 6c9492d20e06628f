"""Layers that two variants or more use."""
