"""Commands on corpora and language models, one file each: `run(arguments)` parses its flags and carries them out."""
