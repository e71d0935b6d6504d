"""Calculations by engine package; each module declares ``CALCULATIONS``."""
