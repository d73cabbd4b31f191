"""Tables of pairs of symbols: modular tables, bases, weight decay, label noise."""
