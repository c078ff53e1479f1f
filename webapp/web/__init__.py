"""Where Flask lives. These modules translate between HTTP and the services; they decide nothing."""
