"""The command line: `jaxembed list | run | compare | claims`, generated from the library's own dataclasses."""

import sys
from importlib import import_module

from .commands.flags import known_word

ON_RUNS = {
    "list": "the named experiments",
    "run NAME [flags]": "run one, or your own: FILE.py:NAME",
    "compare RUN_A RUN_B": "two finished runs",
    "claims": "the ledger",
}
ON_TEXT = {
    "corpus": "text to a memory-mapped corpus of token ids",
    "count": "the pair counts of a corpus",
    "pretrain": "train a decoder on a corpus",
    "align": "do a model's embeddings follow a corpus's signatures?",
    "explain": "one token: its neighbours and what carries them",
    "topics": "do a model's states carry the topics of documents?",
    "words": "word vectors from the pair counts of a text",
    "analogy": "a is to b as c is to what? and the scores of word vectors",
    "senses": "does a model tell the senses of a word apart, and where?",
    "lens": "from vector to next word: what every layer would say",
}
"""Commands on corpora, word vectors and language models; every command is a file of `commands`."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point; what a user can mend ends in one line and exit code 2."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        _dispatch(arguments)
    except (ValueError, OSError, OverflowError, MemoryError) as error:
        print(f"jaxembed: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        goes_on = arguments[:1] in (["run"], ["pretrain"])
        hint = "the same command with --resume goes on where it was" if goes_on else "the same command starts anew"
        print(f"jaxembed: stopped; {hint}", file=sys.stderr)
        raise SystemExit(130) from None


def _dispatch(arguments: list[str]) -> None:
    commands = [*(words.split()[0] for words in ON_RUNS), *ON_TEXT]
    if arguments and arguments[0] not in ("-h", "--help"):
        name = known_word(arguments[0], commands, "command")
        import_module(f".commands.{name}", __package__).run(arguments[1:])
        return
    print(__doc__)
    for title, described in (("", ON_RUNS), ("\non corpora, word vectors and language models:", ON_TEXT)):
        print(title)
        for name, does in described.items():
            print(f"  jaxembed {name:21} {does}")
    print("\nEvery command takes --help.")


if __name__ == "__main__":
    main()
