"""Networks on generated sequences: sufficient statistics, beliefs, hypotheses, topics."""
