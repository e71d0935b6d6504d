"""Desks that are killed."""
