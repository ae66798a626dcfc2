"""How an event is recorded: recorders, tracked blocks, and the words for errors."""
