"""Looks at the settings and the real servers, and says what is wrong, why it matters, and what to do."""
