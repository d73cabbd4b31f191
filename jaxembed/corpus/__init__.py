"""Text to token ids, and token ids to a weighted population of (context, next word)."""

from .bigrams import next_token_dataset as next_token_dataset
from .builtin import python_documentation as python_documentation
from .documents import Damage as Damage
from .documents import Document as Document
from .documents import documents as documents
from .encode import encode as encode
from .encoded import EncodedCorpus as EncodedCorpus
from .encoded import corpus_of as corpus_of
from .encoded import open_corpus as open_corpus
from .encoded import open_tokenizer as open_tokenizer
from .newsgroups import newsgroups as newsgroups
from .readers import read_text as read_text
from .text_bigram import TextBigram as TextBigram
from .text_bigram import TextPopulation as TextPopulation
from .tokenizers import Tokenizer as Tokenizer
from .tokenizers import byte_bpe as byte_bpe
from .tokenizers import first_texts as first_texts
from .tokenizers import read_tokenizer as read_tokenizer
from .tokenizers import word_level as word_level
from .topics import Topics as Topics
from .topics import TopicWords as TopicWords
from .topics import fit_topics as fit_topics
from .topics import topic_words as topic_words
from .words import Vocabulary as Vocabulary
from .words import vocabulary as vocabulary
from .words import words as words
