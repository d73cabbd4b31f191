"""Language models on corpora: alignment, early flow, starts, lens, order of arrival, senses, topics."""
