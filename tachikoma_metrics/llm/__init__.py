"""LLM calls and the tokens that they use."""
