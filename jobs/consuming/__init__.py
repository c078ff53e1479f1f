"""Sources that the hub consumes: one module per kind of broker, and what keeps them going."""
