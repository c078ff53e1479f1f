"""The Python client and its command line, against a real hub over HTTP."""
