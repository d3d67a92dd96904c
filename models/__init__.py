"""Model cards: what each model is, where it comes from, and what it is known to miss."""
