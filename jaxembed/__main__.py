"""The command line: `jaxembed list | run | compare | verify | claims`, generated from the library's own dataclasses."""

import os
import sys
from importlib import import_module
from io import TextIOWrapper
from tempfile import NamedTemporaryFile
from traceback import format_exception

from .commands.printing import known_word
from .machine import COMMAND

ON_RUNS = {
    "list": "the named experiments",
    "run NAME [flags]": "run one, or your own: FILE.py:NAME",
    "compare RUN_A RUN_B": "two finished runs",
    "verify RUN [OTHER]": "run it again from its own record: are all bits the same?",
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


TRACEBACK = "--traceback"
"""Shows where an error comes from."""


def main(arguments: list[str] | None = None) -> None:
    """Entry point; what a user can mend ends in one line and exit code 2, what is our fault in one line and 1.

    The traceback of such a fault is in a file that the line names; `--traceback` shows any instead.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal cannot show is shown by its number
            stream.reconfigure(errors="backslashreplace")
    words = [word for word in arguments if word != TRACEBACK]
    before = COMMAND.set(tuple(words))
    try:
        _dispatch(words)
        sys.stdout.flush()
    except (SystemExit, GeneratorExit):
        raise
    except BrokenPipeError:  # who reads has enough, as `head` does: nothing is wrong, and nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None
    except BaseException as error:  # a library written in Rust has a base of its own
        if len(words) < len(arguments):
            raise
        code, line = _told(error, words)
        print(f"jaxembed: {line}", file=sys.stderr)
        raise SystemExit(code) from None
    finally:
        COMMAND.reset(before)


def _told(error: BaseException, words: list[str]) -> tuple[int, str]:
    """Exit code and line of an error."""
    if isinstance(error, (ValueError, OSError, OverflowError, MemoryError)):
        return 2, _line(error)
    if isinstance(error, KeyboardInterrupt):
        goes_on = words[:1] in (["run"], ["pretrain"])
        return 130, f"stopped; the same command {'with --resume goes on where it was' if goes_on else 'starts anew'}"
    return _of_library(error)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _of_library(error: BaseException) -> tuple[int, str]:
    """Exit code and line for what JAX says of the machine and of its own switches, and for what nobody foresaw."""
    import jax

    line, platforms = _line(error), os.environ.get("JAX_PLATFORMS")
    try:
        jax.devices()
    except Exception as absent:  # JAX says it with errors of several kinds
        asked = f"JAX_PLATFORMS={platforms}: " if platforms else ""
        return 2, f"{asked}there is no such device here ({_line(absent)[:200]}); set JAX_PLATFORMS=cpu"
    if isinstance(error, FloatingPointError):
        return 2, f"{line.split('Because')[0]} (JAX_DEBUG_NANS or JAX_DEBUG_INFS stops here); unset it to go on"
    if isinstance(error, jax.errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in line:
        return 2, f"the memory of the device is full ({line[:200]}); take smaller sizes"
    with NamedTemporaryFile("w", prefix="jaxembed-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.writelines(format_exception(error))
    return 1, f"{type(error).__name__}: {line[:500]}; this is a fault of ours: please send {file.name}"


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
    print(f"\nEvery command takes --help, and {TRACEBACK} for the traceback of an error.")


if __name__ == "__main__":
    main()
