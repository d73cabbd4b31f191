"""Published settings carried out: one file each, called by figure scripts, notebooks and the ledger alike."""
