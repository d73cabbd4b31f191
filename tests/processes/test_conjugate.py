"""The exchangeable processes against quadrature, enumeration and their own draws."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import digamma, logsumexp

from jaxembed.processes import (
    BetaBernoulli,
    DirichletCategorical,
    GammaExponential,
    GaussianGamma,
    Process,
    check_squared_error,
    collect,
)

PROCESSES = [GaussianGamma(), BetaBernoulli(), GammaExponential(), DirichletCategorical()]
SMOOTH = {"epsabs": 0, "epsrel": 1e-11, "limit": 200}
exactly = pytest.mark.float64_only("quadrature to 1e-8")


def rows(process, values):
    """One sequence in the shape that a process reads."""
    return jnp.asarray(values)[None] if process.reads == "tokens" else jnp.asarray(values, float)[None, :, None]


def last(process, values, name):
    return np.asarray(process.exact({}, rows(process, values), [name])[name][0, -1])


@pytest.mark.parametrize("process", PROCESSES, ids=lambda process: type(process).__name__)
def test_a_process_samples_and_answers_under_jit_and_vmap(process, tolerance):
    assert isinstance(process, Process) and hash(process) == hash(type(process)(**vars(process)))

    @jax.jit
    def everything(keys):
        draws = jax.vmap(lambda key: process.sample(key, process.world(key), 6, 5))(keys)
        items = draws.items[0]
        mean = process.predictive_mean({}, items) if process.reads == "reals" else None
        return draws, process.exact({}, items), process.log_predictive({}, items), mean

    draws, exact, log_density, mean = jax.device_get(everything(jax.random.split(jax.random.key(0))))
    trail = (1,) if process.reads == "reals" else ()
    assert draws.items.shape == (2, 6, 5, *trail) and log_density.shape == (6, 4)
    assert not np.array_equal(draws.items[0], draws.items[1])
    for name, target in process.targets.items():
        values = exact[name] if target.ceiling is None else exact[target.ceiling]
        assert values.shape == (6, 5, target.size) and len(target.names) == target.size
        if target.ceiling is not None:
            assert draws.latents[name].shape == (2, 6, target.size)
        if target.kind == "distribution":
            np.testing.assert_allclose(values.sum(axis=-1), 1, rtol=tolerance)
    if "predictive_mean" in process.targets:
        np.testing.assert_allclose(mean, exact["predictive_mean"][:, :-1], rtol=tolerance)
    assert type(process.shifted()) is type(process) and process.shifted() != process


@exactly
def test_gaussian_gamma_agrees_with_quadrature():
    process, x = GaussianGamma(0.5, 2.0, 3.0, 1.5), np.array([0.3, -1.1, 2.0, 0.7])
    # mu by a trapezium rule (exact to rounding for a density this smooth), tau by another in log tau
    log_tau, mu = np.linspace(-7, 4, 200)[:, None], np.linspace(-12, 12, 2001)[None, :]
    tau = np.exp(log_tau)
    prior = stats.gamma.logpdf(tau, process.shape, scale=1 / process.rate) + log_tau
    log_weight = prior + np.log(tau) / 2 - process.strength * tau * (mu - process.mean) ** 2 / 2
    log_weight = log_weight + len(x) / 2 * np.log(tau) - tau * ((x[:, None, None] - mu) ** 2).sum(axis=0) / 2
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    powers = [weight @ (mu[0] ** order) for order in (0, 1, 2)]
    slow = [powers[0] @ log_tau, powers[0] @ tau, powers[1] @ tau, powers[2] @ tau]
    np.testing.assert_allclose(last(process, x, "moments"), np.ravel(slow), rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "posterior_mean"), [powers[1].sum(), slow[1][0]], rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "statistics"), [x.mean(), x.std(ddof=1)], rtol=1e-12)


@exactly
def test_gaussian_gamma_predictive_is_the_ratio_of_evidences():
    """p(x_{n+1} | x_0 .. x_n) from the two marginal likelihoods, each in closed form from the prior alone."""
    process, x = GaussianGamma(0.5, 2.0, 3.0, 1.5), np.array([0.3, -1.1, 2.0, 0.7, 0.9])

    def log_evidence(values):
        # items are jointly multivariate t: location mean, scale (rate / shape)(identity + ones / strength)
        scale = process.rate / process.shape * (np.eye(len(values)) + 1 / process.strength)
        return stats.multivariate_t.logpdf(values, np.full(len(values), process.mean), scale, df=2 * process.shape)

    slow = [log_evidence(x[: n + 2]) - log_evidence(x[: n + 1]) for n in range(len(x) - 1)]
    np.testing.assert_allclose(process.log_predictive({}, rows(process, x))[0], slow, rtol=1e-8)


@exactly
def test_beta_bernoulli_agrees_with_quadrature_and_enumeration():
    process, x = BetaBernoulli(1.5, 2.5), [1, 0, 1, 1, 0]

    def weight(p):
        return stats.beta.pdf(p, process.ones, process.zeros) * p ** sum(x) * (1 - p) ** (len(x) - sum(x))

    evidence = integrate.quad(weight, 0, 1, **SMOOTH)[0]
    slow = [integrate.quad(lambda p, m=m: weight(p) * p**m, 0, 1, **SMOOTH)[0] / evidence for m in range(1, 5)]
    np.testing.assert_allclose(last(process, x, "moments"), slow, rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "predictive"), [1 - slow[0], slow[0]], rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "statistics"), [0.6], rtol=1e-12)
    every = jnp.array(list(product((0, 1), repeat=5)))
    first = np.log(np.where(every[:, 0] == 1, process.ones, process.zeros) / (process.ones + process.zeros))
    assert abs(logsumexp(first + process.log_predictive({}, every).sum(axis=1))) < 1e-12


@exactly
def test_gamma_exponential_agrees_with_quadrature():
    process, x = GammaExponential(2.5, 1.5), np.array([0.3, 1.2, 0.1])

    def weight(rate):
        return stats.gamma.pdf(rate, process.shape, scale=1 / process.rate) * np.prod(
            stats.expon.pdf(x, scale=1 / rate)
        )

    def expectation(function):
        return integrate.quad(lambda rate: weight(rate) * function(rate), 0, np.inf, **SMOOTH)[0]

    evidence = expectation(lambda rate: 1.0)
    slow = [expectation(lambda rate, m=m: rate**m) / evidence for m in range(1, 5)]
    np.testing.assert_allclose(last(process, x, "moments"), slow, rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "log_moments"), np.log(slow), rtol=1e-8)
    np.testing.assert_allclose(
        last(process, x, "predictive_mean"), [expectation(lambda r: 1 / r) / evidence], rtol=1e-8
    )
    density = expectation(lambda rate: rate * np.exp(-rate * 0.8)) / evidence
    np.testing.assert_allclose(np.exp(process.log_predictive({}, rows(process, [*x, 0.8]))[0, -1]), density, rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "log_statistics"), [np.log(x.mean())], rtol=1e-12)


@exactly
def test_dirichlet_categorical_agrees_with_quadrature_and_enumeration():
    process, x = DirichletCategorical((1.5, 2.0, 0.5)), [0, 2, 2, 1, 2]
    counts = np.bincount(x, minlength=3)

    # a Dirichlet by stick breaking: p_0 = a, p_1 = (1 - a) b; the two breaks are independent Betas
    def beta_moment(ones, zeros, up, down):
        area = integrate.quad(lambda p: p ** (ones - 1 + up) * (1 - p) ** (zeros - 1 + down), 0, 1, **SMOOTH)[0]
        return area / integrate.quad(lambda p: p ** (ones - 1) * (1 - p) ** (zeros - 1), 0, 1, **SMOOTH)[0]

    c = np.asarray(process.concentration) + counts

    def moment(order):
        first = beta_moment(c[0], c[1] + c[2], order, 0)
        rest = beta_moment(c[0], c[1] + c[2], 0, order)
        return [first, rest * beta_moment(c[1], c[2], order, 0), rest * beta_moment(c[1], c[2], 0, order)]

    np.testing.assert_allclose(last(process, x, "moments"), moment(1) + moment(2), rtol=1e-8)
    np.testing.assert_allclose(last(process, x, "statistics"), counts / 5, rtol=1e-12)
    every = jnp.array(list(product(range(3), repeat=4)))
    prior = np.asarray(process.concentration) / sum(process.concentration)
    total = logsumexp(np.log(prior)[every[:, 0]] + process.log_predictive({}, every).sum(axis=1))
    assert abs(total) < 1e-12
    coin, same = DirichletCategorical((8.0, 2.0)), BetaBernoulli(2.0, 8.0)
    flips = rows(coin, [1, 1, 0, 1])
    np.testing.assert_allclose(coin.log_predictive({}, flips), same.log_predictive({}, flips), rtol=1e-12)


@exactly
@pytest.mark.parametrize("process", [GaussianGamma(), GammaExponential()], ids=lambda process: type(process).__name__)
def test_a_predictive_density_integrates_to_one_and_has_the_stated_mean(process):
    seen = [0.4, 1.3, 0.9]
    nodes, weights = np.polynomial.legendre.leggauss(2000)
    # x = tan maps the line (or the half line) onto a bounded interval
    low, high = (0.0, np.pi / 2) if isinstance(process, GammaExponential) else (-np.pi / 2, np.pi / 2)
    angle = (high - low) / 2 * nodes + (high + low) / 2
    x, weight = np.tan(angle), weights * (high - low) / 2 / np.cos(angle) ** 2
    items = jnp.concatenate([jnp.tile(jnp.array(seen)[None, :], (len(x), 1)), jnp.asarray(x)[:, None]], axis=1)[
        ..., None
    ]
    density = np.exp(jax.jit(lambda items: process.log_predictive({}, items))(items)[:, -1])
    assert abs(np.sum(weight * density) - 1) < 1e-8
    mean = process.predictive_mean({}, items)[0, -1, 0]
    np.testing.assert_allclose(np.sum(weight * density * x), mean, rtol=1e-6)


def test_names_and_positions_are_chosen_and_the_rest_is_not_computed():
    def refused():
        raise AssertionError

    table = jnp.arange(6.0).reshape(1, 3, 2)
    found = collect({"asked": lambda: table, "other": refused, "wide": refused}, ["asked"], (2, 0), {"wide": "."})
    assert list(found) == ["asked"]
    np.testing.assert_array_equal(found["asked"], table[:, [2, 0]])
    assert list(collect({"asked": lambda: table, "wide": refused}, None, None, {"wide": "."})) == ["asked"]
    np.testing.assert_array_equal(collect({"asked": lambda: table}, None, (-3,))["asked"], table[:, :1])
    for outside in (3, -4):
        with pytest.raises(ValueError, match=f"positions: need -3 .. 2 in sequences of 3, got {outside}"):
            collect({"asked": lambda: table}, None, (0, outside))


def test_targets_whose_risk_is_infinite_are_not_listed():
    for process in (GaussianGamma(shape=1.0), GammaExponential(), GaussianGamma()):
        for name, target in process.targets.items():
            assert not {name, target.ceiling} & set(process.infinite)
    assert list(GaussianGamma(shape=1.0).targets) == ["moments"] and len(GaussianGamma().targets) == 4


@pytest.mark.slow
@pytest.mark.float64_only("a Monte Carlo test of the same draws")
def test_draws_have_the_moments_of_their_prior():
    processes = (GaussianGamma(), GammaExponential(6.0, 4.0), BetaBernoulli(), DirichletCategorical())
    sample = jax.jit(lambda key: [process.sample(key, {}, 40_000, 2) for process in processes])
    gauss, gamma, flips, tokens = jax.device_get(sample(jax.random.key(3)))
    mu, tau = gauss.latents["parameters"].T
    close(np.log(tau), digamma(5.0))
    close(mu, 1.0)
    close((mu - 1) ** 2, 1 / 4)
    close(gauss.items[:, 1, 0] ** 2, 1 + 2 / 4)
    close((gauss.items[:, 0, 0] - 1) * (gauss.items[:, 1, 0] - 1), 1 / 4)
    close(gamma.latents["parameters"][:, 0], 1.5)
    close(gamma.items[:, 1, 0], 4 / 5)
    close(gamma.items[:, 0, 0] * gamma.items[:, 1, 0], 16 / (5 * 4))
    close(flips.items[:, 0], 0.2)
    close(flips.items[:, 0] * flips.items[:, 1], 2 * 3 / (10 * 11))
    for token in range(4):
        close(tokens.items[:, 1] == token, (token + 1) / 10)
    close((tokens.items[:, 0] == 0) & (tokens.items[:, 1] == 1), 2 / (10 * 11))


def close(samples, expected):
    """Within five standard errors."""
    assert abs(samples.mean() - expected) < 5 * samples.std() / len(samples) ** 0.5, (samples.mean(), expected)


@pytest.mark.slow
def test_what_a_calibrated_prediction_loses_is_the_published_floor():
    process = BetaBernoulli()
    items = process.sample(jax.random.key(0), {}, 4000, 500).items
    loss = -process.log_predictive({}, items).mean()
    assert abs(loss - 0.45847) < 0.006  # five standard errors: sequences differ by sd 0.08


def test_the_standard_deviation_of_one_item_is_undefined():
    first = GaussianGamma().exact({}, jnp.array([[[2.0], [3.0]]]), ["statistics"])["statistics"][0, 0]
    assert first[0] == 2 and np.isnan(first[1])


@pytest.mark.parametrize(
    "make, line",
    [
        (lambda: GaussianGamma(shape=0.0), "shape: the Normal-Gamma prior is improper at 0.0"),
        (lambda: GaussianGamma(strength=-1.0), "strength: the Normal-Gamma prior is improper at -1.0"),
        (lambda: GaussianGamma(mean=float("nan")), "mean: the Normal-Gamma prior is improper at nan"),
        (lambda: BetaBernoulli(zeros=0.0), "zeros: the Beta prior is improper at 0.0"),
        (lambda: GammaExponential(rate=float("inf")), "rate: the Gamma prior is improper at inf"),
        (lambda: DirichletCategorical((1.0, 0.0)), r"concentration\[1\]: the Dirichlet prior is improper at 0.0"),
        (lambda: DirichletCategorical((1.0,)), "concentration: need at least 2 tokens"),
        (
            lambda: GammaExponential().exact({}, jnp.ones((1, 2, 1)), ["statistics"]),
            r"'statistics' has infinite variance, since E\[1 / lambda\^2\] diverges for shape 2 <= 2",
        ),
        (
            lambda: GaussianGamma(shape=1.0).exact({}, jnp.ones((1, 2, 1)), ["statistics"]),
            r"'statistics' has infinite variance, since E\[1 / tau\] diverges for shape 1 <= 1",
        ),
        (lambda: check_squared_error(GammaExponential()), r"squared error has infinite risk, since E\[1 / lambda\^2\]"),
        (
            lambda: GaussianGamma(5.0, 1.0, 2.0, 1.0).shifted(),
            "shifted: the prior would stay as it is; take another mean",
        ),
        (lambda: BetaBernoulli(3.0, 3.0).shifted(), "shifted: .*; take ones and zeros that differ"),
        (lambda: DirichletCategorical((1.0, 2.0, 1.0)).shifted(), "shifted: .*; take a concentration that is not"),
        (lambda: GaussianGamma().exact({}, jnp.ones((1, 2, 1)), ["mode"]), "no exact quantity 'mode'; there are stat"),
    ],
)
def test_what_has_no_answer_is_refused_in_one_line(make, line):
    with pytest.raises(ValueError, match=line) as failure:
        make()
    assert "\n" not in str(failure.value)


def test_squared_error_is_accepted_where_its_risk_is_finite():
    for process in (GaussianGamma(), GammaExponential(2.5), BetaBernoulli()):
        check_squared_error(process)
