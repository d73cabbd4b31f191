"""A model somebody else trained: its two tables, a text in its tokens, and what the text's neighbours say of them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ..base import Progress, SparseRows, silent
from ..corpus import EncodedCorpus, Tokenizer, documents, encode, open_corpus, open_tokenizer, read_tokenizer
from ..corpus.encoded import FACTS
from ..corpus.tokenizers import FILE
from ..models import CONFIG_FIELDS, read_tensors, tensor_files, tied_of
from ..models.decoder import Decoder
from ..models.hugging_face import model_folder, read_model
from ..records import check_record, read_object
from ..statistics import TokenPairs, count_neighbours, next_rows, previous_rows

EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "embed_in.weight", "word_embeddings.weight")
UNEMBEDDINGS = ("lm_head.weight", "embed_out.weight")
"""How families end the names of their tables: Llama and most others, GPT-2, GPT-NeoX, Bloom."""
CONFIG, TABLE_FIELDS = "config.json", ("model_type", "architectures", "vocab_size", "tie_word_embeddings")
TRAINED = "model"
"""Where a run folder of `jaxembed pretrain` keeps its model."""


@dataclass(frozen=True)
class TokenTables:
    """What a model knows of single tokens.

    Attributes:
        folder: where it lies.
        embed: `[token, width]`, W^E.
        unembed: `[token, width]`, W^U; the same array where the model ties them.
        tokenizer: of the folder, or None where it holds none.
    """

    folder: Path
    embed: Float[np.ndarray, "token width"]
    unembed: Float[np.ndarray, "token width"]
    tokenizer: Tokenizer | None

    @property
    def tied(self) -> bool:
        return self.unembed is self.embed


def read_tables(place: str | Path) -> TokenTables:
    """Embedding and unembedding of a Hugging Face folder, of whatever architecture; nothing else is read.

    Args:
        place: the folder, `hub:owner/name`, or a run folder of `jaxembed pretrain`.

    Raises:
        ValueError: for a folder without safetensors or a table of embeddings, with tables that are not whole finite
            numbers, or that are not as config.json says.
    """
    folder = _model_of(place)
    config, files = _config_of(folder), tensor_files(folder)
    embeds, unembeds = (_tables_named(folder, files, endings) for endings in (EMBEDDINGS, UNEMBEDDINGS))
    embeds = embeds or (unembeds if tied_of(config) else [])  # the one table may be stored as the head
    if not embeds or embeds[0].ndim != 2:
        raise ValueError(f"{folder}: no table named {', '.join(EMBEDDINGS)}; give the folder of a language model")
    if not unembeds and not tied_of(config):
        raise ValueError(
            f"{folder}: holds no {' or '.join(UNEMBEDDINGS)}, though by config.json the head is a table of its own "
            "(tie_word_embeddings false); give the folder of a whole model"
        )
    embed = embeds[0].astype(np.float32)
    unembed = unembeds[0].astype(np.float32) if unembeds else embed
    if unembed.shape != embed.shape and (unembed.ndim != 2 or len(unembed) != len(embed)):
        raise ValueError(f"{folder}: embeds {len(embed)} tokens and unembeds {len(unembed)}; not a language model")
    if config.get("vocab_size", len(embed)) != len(embed):
        raise ValueError(
            f"{folder}: embeds {len(embed)} tokens, but config.json says vocab_size {config['vocab_size']}; it is "
            "another model's"
        )
    same = np.array_equal(embed, unembed)
    if config.get("tie_word_embeddings") and not same:
        raise ValueError(f"{folder}: config.json says tie_word_embeddings, but the two tables differ; say false")
    return TokenTables(folder, embed, embed if same else unembed, _tokenizer_of(folder))


def _config_of(folder: Path) -> dict[str, Any]:
    """What config.json says of the tables, checked; nothing where there is none."""
    if not (folder / CONFIG).exists():
        return {}
    config = read_object(folder / CONFIG, "give the folder of a saved model")
    check_record(config, {name: CONFIG_FIELDS[name] for name in TABLE_FIELDS}, str(folder / CONFIG))
    return {name: config[name] for name in TABLE_FIELDS if name in config}


def _tokenizer_of(folder: Path) -> Tokenizer | None:
    return read_tokenizer(folder) if (folder / FILE).exists() else None


def _tables_named(folder: Path, files: dict[str, list[str]], endings: tuple[str, ...]) -> list[np.ndarray]:
    wanted = {file: [name for name in names if name.endswith(endings)] for file, names in files.items()}
    return [tensor for _, tensor in read_tensors(folder, wanted)]


def read_text(
    tables: TokenTables, place: str | Path, *, subset: str | None = None, progress: Progress = silent
) -> tuple[EncodedCorpus, Tokenizer]:
    """A text in the model's tokens: an encoded corpus, or text files encoded now by the model's own tokenizer.

    Args:
        tables: of the model.
        place: folder of an encoded corpus, or a file or folder of text.
        subset: only documents whose `meta.pile_set_name` this is.
        progress: takes a line on how much is encoded.

    Raises:
        ValueError: for a corpus in another tokenizer's tokens, or with more tokens than the model has rows; for text
            where the model's folder holds no tokenizer.
    """
    place = Path(os.path.expanduser(place))
    if (place / FACTS).exists():
        corpus, tokenizer = open_corpus(place), open_tokenizer(place)
        corpus = corpus if subset is None else corpus.subset(subset)
        if tables.tokenizer is not None and tables.tokenizer.hash != tokenizer.hash:
            raise ValueError(
                f"corpus: {place} was encoded with another tokenizer than {tables.folder / FILE}; encode it with "
                f"jaxembed corpus --tokenizer {tables.folder}, or give the text itself"
            )
    else:
        if tables.tokenizer is None:
            raise ValueError(f"{tables.folder}: holds no {FILE} to encode {place} with; put the model's own one there")
        tokenizer = tables.tokenizer
        corpus = encode(documents(place, subset=subset), tokenizer, progress=progress)
    rows = len(tables.embed)
    if not set(range(rows, corpus.vocab)) <= tokenizer.unseen or np.any(corpus.unigrams[rows:]):
        raise ValueError(
            f"corpus: has {corpus.vocab} tokens and the model {rows} rows; encode the text with the model's own "
            "tokenizer"
        )
    return corpus, tokenizer


@dataclass(frozen=True)
class TextSignatures:
    """Next- and previous-token signatures of a text's frequent tokens.

    Attributes:
        tokens: `[token]`, ids, most frequent first; each has a follower and a predecessor.
        counts: `[token]`, occurrences.
        pairs: all counts of neighbours.
    """

    tokens: Int[np.ndarray, " token"]
    counts: Int[np.ndarray, " token"]
    pairs: TokenPairs

    def rows(self, kind: str, *, centred: bool = True) -> SparseRows:
        """Rows of these tokens: kind "next" or "previous"."""
        return signature_rows(self.pairs, self.tokens, kind, centred=centred)


def signature_rows(
    pairs: TokenPairs, tokens: Int[np.ndarray, " token"], kind: str, *, centred: bool = True
) -> SparseRows:
    """Signatures of some tokens by their kind."""
    return {"next": next_rows, "previous": previous_rows}[kind](pairs, centred=centred).select(tokens)


def count_signatures(
    corpus: EncodedCorpus,
    tokens: int | None = 1000,
    *,
    window: int = 1,
    also: int | None = None,
    workers: int = 1,
    progress: Progress = silent,
) -> TextSignatures:
    """Count a text's neighbours and choose its most frequent tokens.

    Args:
        corpus: the text.
        tokens: how many; None for all that occur.
        window: largest distance of neighbours.
        also: a token to take in however rare.
        workers: threads.
        progress: takes a line and its share done.

    Raises:
        ValueError: where fewer tokens occur, or fewer than 4 have neighbours on both sides.
    """

    pairs = count_neighbours(corpus.ids, corpus.ends, corpus.vocab, window=window, workers=workers, progress=progress)
    there = corpus.unigrams
    if tokens is not None and not 1 <= tokens <= corpus.occurring:
        raise ValueError(f"tokens: {tokens} asked, {corpus.occurring} different ones occur; ask for 1 to that many")
    chosen = corpus.frequent(corpus.occurring if tokens is None else tokens)
    if also is not None and also not in chosen:
        chosen = np.append(chosen, np.int32(also))
    followed, preceded = np.diff(pairs.counts.indptr) > 0, np.asarray(pairs.counts.sum(axis=0)).ravel() > 0
    chosen = chosen[followed[chosen] & preceded[chosen]]
    if len(chosen) < 4:
        raise ValueError(f"corpus: {len(chosen)} tokens have neighbours on both sides; give more text")
    return TextSignatures(chosen, there[chosen], pairs)


def read_decoder(place: str | Path) -> tuple[Decoder, dict[str, Any], Tokenizer]:
    """A decoder with its parameters and tokenizer.

    Args:
        place: Hugging Face folder, run folder of `jaxembed pretrain`, or `hub:owner/name`.

    Raises:
        ValueError: for a folder without a decoder or its tokenizer.
    """
    folder = _model_of(place)
    model, params = read_model(folder)
    tokenizer, rows = _tokenizer_of(folder), params["embed"].shape[0]
    if tokenizer is None:
        raise ValueError(f"{folder}: holds no {FILE} to read text with; put the model's own one there")
    beyond, ends = set(range(rows, tokenizer.vocab)), {tokenizer.start_token, tokenizer.end_token}
    if strange := sorted(beyond - tokenizer.unseen | beyond & ends):
        raise ValueError(
            f"{folder}: {FILE} has {tokenizer.vocab} tokens and the model {rows} rows, none for "
            f"{tokenizer.token(strange[0])!r}; it is another's"
        )
    return model, params, tokenizer


def _model_of(place: str | Path) -> Path:
    """The folder of a model, or that in a run folder of `jaxembed pretrain`."""
    folder = model_folder(place)
    trained = folder / TRAINED
    return trained if not (folder / CONFIG).exists() and (trained / CONFIG).exists() else folder
