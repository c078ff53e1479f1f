"""Pure rules. No I/O, no clock, no random, no framework: everything here is a function of its arguments."""
