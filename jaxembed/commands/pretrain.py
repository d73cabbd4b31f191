"""`jaxembed pretrain`: train a decoder on an encoded corpus; stop it at any instant and go on with --resume."""

import socket
import time
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from ..language.settings import Pretraining
from ..machine import GIB
from ..tables import Table
from .printing import command, say, show, shown_progress

if TYPE_CHECKING:
    from ..corpus import EncodedCorpus
    from ..language import Pretrained
    from ..models import Decoder

MODEL, CURVE = "model", "curve.npz"
ANSWER = 40.0
"""Seconds in which process 0 of several must answer."""
HELD_SHARE, HELD_MOST = 0.05, 100_000
"""What is held out unless the user says: a share of the corpus, and no more tokens than this."""
ROUND = 32
"""MLP widths that follow from the width are multiples of this."""


@dataclass(frozen=True)
class DecoderShape:
    """A decoder's sizes."""

    architecture: Literal["qwen2", "llama", "gpt2"] | None = None
    """qwen2 unless given."""
    width: int | None = None
    """Of the stream; 128 unless given."""
    layers: int | None = None
    """Blocks; 4 unless given."""
    heads: int | None = None
    """Attention heads; one for every 32 units of the width unless given."""
    kv_heads: int | None = None
    """Heads of keys and values; as many as --heads unless given."""
    mlp_width: int | None = None
    """Units of the MLP; 8/3 of the width unless given, 4 times the width for gpt2."""
    tied: Literal["yes", "no"] | None = None
    """Whether embedding and unembedding are one table; as the architecture has it unless given."""


@dataclass(frozen=True)
class DeviceFlags:
    """What the run is divided over."""

    devices: int | None = None
    """Devices over all processes; the default device alone unless given or --coordinator is."""
    shard: Literal["data", "full"] = "data"
    """data: parameters whole on every device; full: shared out too."""
    coordinator: str | None = None
    """ADDRESS:PORT of process 0, which must answer within 40 s, for several hosts; --out is then a folder that all of
    them see."""
    processes: int = 1
    """Number of processes."""
    process: int = 0
    """Which of them this is, from 0."""


@dataclass(frozen=True)
class PretrainFlags:
    """Train a decoder on an encoded corpus."""

    corpus: tyro.conf.Positional[Path]
    """Folder of an encoded corpus (jaxembed corpus)."""
    out: Path = Path("runs/pretrain")
    """Folder of the run; OUT/model is the trained model as a Hugging Face folder."""
    resume: bool = False
    """Go on with a stopped run in that folder."""
    overwrite: bool = False
    """Replace an earlier run in that folder."""
    verify: bool = False
    """Train nothing: compare every saved set of parameters in that folder with its hash."""
    init_from: Path | None = None
    """Hugging Face folder of a model to start from, which then says the architecture."""
    held_out_tokens: int | None = None
    """Tokens at the end of the corpus that are not trained on, in whole documents, 0 for none; 5 %, at most 100,000,
    unless given."""
    remember_every: int = 200
    """Updates between two states written down for --resume."""
    shape: Annotated[DecoderShape, tyro.conf.arg(name="")] = field(default_factory=DecoderShape)
    settings: Annotated[Pretraining, tyro.conf.arg(name="")] = field(default_factory=Pretraining)
    devices: Annotated[DeviceFlags, tyro.conf.arg(name="")] = field(default_factory=DeviceFlags)


@command(PretrainFlags)
def run(flags: PretrainFlags, console: Any) -> None:
    first = flags.devices.process == 0
    console.quiet = not first
    if flags.verify:
        _verify(flags.out, console)
        return
    mesh = _mesh(flags.devices)
    from ..corpus import open_corpus
    from ..language import resumable

    whole = open_corpus(flags.corpus)
    with shown_progress(console) as progress:
        whole.verify(progress)
    corpus, held = _split(whole, flags.held_out_tokens)
    model, params = _model(flags, corpus)
    vocab = corpus.vocab if params is None else params["embed"].shape[0]
    say(console, _expected(flags, model, vocab, corpus, held))
    if flags.resume and not resumable(flags.out):
        say(console, f"nothing to resume in {flags.out}; starting")
    result = _trained(flags, model, params, corpus, held, mesh, console)
    _write(flags, model, corpus, result, first)
    show(console, _parts(flags, result, held))


def _mesh(devices: DeviceFlags) -> Any:
    """The devices, before any of them is used."""
    if devices.devices is None and devices.coordinator is None:
        return None
    import jax

    from ..language import data_mesh

    if devices.devices is not None and devices.devices % devices.processes:
        raise ValueError(f"--devices: {devices.devices} cannot be divided over {devices.processes} processes evenly")
    if devices.devices is not None and getattr(jax.config, "jax_num_cpu_devices", 1) < 1:
        # A processor poses as so many devices; this says nothing about cards.
        jax.config.update("jax_num_cpu_devices", devices.devices // devices.processes)
    if devices.coordinator is not None:
        _await(devices)
        jax.distributed.initialize(devices.coordinator, devices.processes, devices.process)
    return data_mesh(devices.devices)


def _await(devices: DeviceFlags) -> None:
    """Wait until process 0 can be reached: JAX ends the whole process, after minutes, where nobody answers.

    Raises:
        ValueError: for no address, or where nobody answers in time.
    """
    host, _, port = (devices.coordinator or "").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(f"--coordinator: needs ADDRESS:PORT, such as 10.0.0.1:1234, got '{devices.coordinator}'")
    if not 0 <= devices.process < devices.processes:
        raise ValueError(f"--process: must be 0 to {devices.processes - 1}, got {devices.process}; see --processes")
    last = time.monotonic() + ANSWER
    while devices.process:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER).close()
            return
        except OSError as error:
            if time.monotonic() > last:
                raise ValueError(
                    f"--coordinator: nobody answers at {devices.coordinator} ({error.strerror or error}); "
                    "start process 0 first, or mend the address"
                ) from None
            time.sleep(0.2)


def _split(corpus: "EncodedCorpus", held_out: int | None) -> "tuple[EncodedCorpus, EncodedCorpus | None]":
    if held_out == 0:
        return corpus, None
    try:
        return corpus.split(min(HELD_MOST, int(HELD_SHARE * corpus.tokens)) if held_out is None else held_out)
    except ValueError as error:
        raise ValueError(f"{error}; --held-out-tokens 0 holds out none") from None


def _model(flags: PretrainFlags, corpus: "EncodedCorpus") -> "tuple[Decoder, Any]":
    """The decoder, and its parameters where they come from a folder."""
    if flags.init_from is None:
        return decoder_of_flags(flags.shape, flags.settings.length), None
    given = [f.name for f in fields(DecoderShape) if getattr(flags.shape, f.name) is not None]
    if given:
        raise ValueError(f"--{given[0].replace('_', '-')}: the model of --init-from has its own; leave it out")
    from ..corpus import read_tokenizer
    from ..models.hugging_face import read_model

    if (flags.init_from / "tokenizer.json").exists():
        theirs = read_tokenizer(flags.init_from).hash
        if theirs != corpus.tokenizer_hash:
            raise ValueError(
                f"--init-from: {flags.init_from} has another tokenizer than the corpus; encode the corpus with "
                f"--tokenizer {flags.init_from}"
            )
    return read_model(flags.init_from)


def decoder_of_flags(shape: DecoderShape, length: int) -> "Decoder":
    """The decoder that the flags describe.

    >>> decoder_of_flags(DecoderShape(width=64), length=128).mlp_width
    192
    """
    from .. import models

    name = shape.architecture or "qwen2"
    width, layers = shape.width or 128, shape.layers or 4
    sizes: dict[str, Any] = {"width": width, "layers": layers, "heads": shape.heads or max(1, width // 32)}
    sizes |= {} if shape.tied is None else {"tied": shape.tied == "yes"}
    if name == "gpt2":
        if shape.kv_heads is not None:
            raise ValueError("--kv-heads: gpt2 has one for every head; leave it out, or take qwen2 or llama")
        return models.gpt2(mlp_width=shape.mlp_width, max_positions=length, **sizes)
    mlp_width = -(-8 * width // (3 * ROUND)) * ROUND if shape.mlp_width is None else shape.mlp_width
    family = models.qwen2 if name == "qwen2" else models.llama
    return family(kv_heads=shape.kv_heads or sizes["heads"], mlp_width=mlp_width, **sizes)


def _expected(
    flags: PretrainFlags, model: "Decoder", vocab: int, corpus: "EncodedCorpus", held: "EncodedCorpus | None"
) -> str:
    from ..language import memory_estimate

    settings, devices = flags.settings, flags.devices.devices or 1
    need = memory_estimate(model, settings, vocab, devices=devices, shared_out=flags.devices.shard == "full")
    predicted, held_out = settings.steps * settings.predicted, 0 if held is None else held.tokens
    shared = f" on each of {devices} devices" if devices > 1 else ""
    return (
        f"{model.parameter_count(vocab):,} parameters; {predicted:,} tokens to predict, "
        f"{predicted / corpus.tokens:.2g} epochs of {corpus.tokens:,}; held out {held_out:,}; about "
        f"{need / GIB:.2g} GiB of arrays{shared}; writing to {flags.out}"
    )


def _trained(
    flags: PretrainFlags, model: "Decoder", params: Any, corpus: "EncodedCorpus", held: Any, mesh: Any, console: Any
) -> "Pretrained":
    from ..language import pretrain

    options = {name: getattr(flags, name) for name in ("out", "resume", "overwrite", "remember_every")}
    options |= {"held": held, "params0": params, "mesh": mesh, "shard": flags.devices.shard}
    with shown_progress(console, remaining=True) as progress:
        progress("compiling")
        # The folder keeps whole sets of parameters, so the trajectory keeps none.
        return pretrain(model, corpus, flags.settings, save=lambda params: {}, progress=progress, **options)


def _write(flags: PretrainFlags, model: "Decoder", corpus: "EncodedCorpus", result: "Pretrained", first: bool) -> None:
    from ..corpus.tokenizers import FILE
    from ..keep import write_arrays
    from ..language import on_host
    from ..models.hugging_face import write_model

    params = on_host(result.params)  # all processes take part
    if first:
        ends = {"bos_token_id": corpus.end_token, "eos_token_id": corpus.end_token}
        place, tokenizer = flags.out / MODEL, flags.corpus / FILE
        write_model(place, model, params, tokenizer_file=tokenizer, config=ends, overwrite=True)
        curve = {"losses": result.losses, "save_steps": flags.settings.saves, "held_losses": result.held_losses}
        write_arrays(flags.out / CURVE, curve)


def _parts(flags: PretrainFlags, result: "Pretrained", held: Any) -> list[Table | str]:
    losses = zip(flags.settings.saves, result.held_losses, strict=True) if held is not None else ()
    table = Table("nats per token", ("step", "held-out loss"), [(f"{step:,}", f"{loss:.4f}") for step, loss in losses])
    last = result.losses[-min(len(result.losses), 20) :].mean()
    speed = f"; {result.tokens_per_second:,.0f} tokens/s" if result.tokens_per_second > 0 else ""
    return [
        *([table] if held is not None else []),
        f"training loss {last:.4f} over the last updates{speed}",
        f"model: {flags.out / MODEL}; saved steps: {flags.out / 'checkpoints'}",
    ]


def _verify(out: Path, console: Any) -> None:
    from ..language import verify

    found = verify(out)
    if not found:
        raise ValueError(f"out: {out} holds no saved parameters; name the folder of a run")
    for step, holds in found.items():
        say(console, f"step {step}: {'as written' if holds else 'CHANGED'}")
    changed = [step for step, holds in found.items() if not holds]
    if changed:
        raise ValueError(f"out: {out} was changed at step {', '.join(map(str, changed))}; --overwrite trains it again")
