"""Language models on encoded corpora: pair counts and training."""

from .checkpoints import parameter_hash as parameter_hash
from .checkpoints import read_params as read_params
from .checkpoints import resumable as resumable
from .checkpoints import saved_steps as saved_steps
from .checkpoints import verify as verify
from .counting import cluster as cluster
from .counting import count_corpus as count_corpus
from .counting import count_on_cluster as count_on_cluster
from .held_out import held_out_loss as held_out_loss
from .memory import memory_estimate as memory_estimate
from .meter import Pace as Pace
from .meter import peak_flops as peak_flops
from .order import cut as cut
from .placement import Placement as Placement
from .placement import data_mesh as data_mesh
from .pretrain import Pretrained as Pretrained
from .pretrain import initial_params as initial_params
from .pretrain import pretrain as pretrain
from .run import on_host as on_host
from .settings import Pretraining as Pretraining
