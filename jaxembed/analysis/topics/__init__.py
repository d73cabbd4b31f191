"""Topics of documents in the states of a decoder: LDA targets, probes with nulls, the link to perplexity."""
