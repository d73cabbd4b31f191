"""State -> array: what is looked at when theory and training are compared."""

from .agreement import mantel as mantel
from .agreement import r_cos as r_cos
from .agreement import relative_error as relative_error
from .agreement import scale_free_error as scale_free_error
from .alignment import Alignment as Alignment
from .alignment import alignment as alignment
from .analogies import AnalogyScore as AnalogyScore
from .analogies import analogies as analogies
from .blockwise import PairMoments as PairMoments
from .blockwise import blockwise_r_cos as blockwise_r_cos
from .blockwise import pair_moments as pair_moments
from .correlation import pearson as pearson
from .correlation import spearman as spearman
from .cosine import centred as centred
from .cosine import cosine as cosine
from .cosine import pair_cosines as pair_cosines
from .order import order as order
from .order import order_along as order_along
from .pca import pca as pca
from .spectra import mode_overlaps as mode_overlaps
from .spectra import norms as norms
from .spectra import row_norms as row_norms
from .spectra import singular_values as singular_values
from .spectra import subspace_overlap as subspace_overlap
from .summary import Summary as Summary
from .summary import summary as summary
