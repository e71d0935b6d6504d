"""Alerts on real databases and real sockets."""
