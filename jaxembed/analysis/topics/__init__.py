"""Topics of documents: what of them a decoder's states carry, layer by layer, beside what needs no network."""

from .perplexity import PerplexityLink as PerplexityLink
from .perplexity import perplexity_link as perplexity_link
from .result import TopicScores as TopicScores
from .result import collect_scores as collect_scores
from .result import topics_of_model as topics_of_model
from .scores import score_network as score_network
from .task import TopicSizes as TopicSizes
from .task import TopicTask as TopicTask
from .task import build_topic_task as build_topic_task
from .texts import TopicTexts as TopicTexts
from .texts import draw_texts as draw_texts
from .texts import read_newsgroups as read_newsgroups
