"""How events are recorded: recorders, timers, tracked blocks, and the types of errors."""
