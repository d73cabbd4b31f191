"""Generating processes with exact posteriors, moments and predictive densities."""

from .beta_bernoulli import BetaBernoulli as BetaBernoulli
from .dirichlet_categorical import DirichletCategorical as DirichletCategorical
from .gamma_exponential import GammaExponential as GammaExponential
from .gaussian_gamma import GaussianGamma as GaussianGamma
from .hidden_markov import HiddenMarkov as HiddenMarkov
from .hidden_markov import filter_states as filter_states
from .hidden_markov import hidden_markov_world as hidden_markov_world
from .hidden_markov import path_scores as path_scores
from .hmm_lda import HmmLda as HmmLda
from .latent_dirichlet import LatentDirichlet as LatentDirichlet
from .linear_gaussian import LinearGaussian as LinearGaussian
from .linear_gaussian import linear_gaussian_world as linear_gaussian_world
from .number_game import NumberGame as NumberGame
from .process import Draw as Draw
from .process import Process as Process
from .process import Target as Target
from .process import World as World
from .process import check_positive as check_positive
from .process import check_squared_error as check_squared_error
from .process import collect as collect
from .rectangles import Rectangles as Rectangles
