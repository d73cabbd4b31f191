"""Small models and theories: composite tasks, ladders, horizons, closed forms."""
