"""Questions to a model or vectors of any origin: alignment, one token, senses, topics, the answer of every layer."""
