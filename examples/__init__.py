"""Plug-ins to read, run and copy."""
