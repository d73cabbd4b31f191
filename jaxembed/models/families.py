"""The decoders of three families: their switches, with the sizes of one published member as defaults."""

from .decoder import Decoder
from .rotary import RotaryScaling


def qwen2(
    width: int = 896,
    layers: int = 24,
    heads: int = 14,
    kv_heads: int = 2,
    mlp_width: int = 4864,
    *,
    tied: bool = True,
    max_positions: int = 32_768,
    rotary_base: float = 1e6,
    norm_floor: float = 1e-6,
    head_width: int | None = None,
    init_scale: float = 0.02,
) -> Decoder:
    """Qwen2 and Qwen2.5: RMSNorm, rotary positions, SwiGLU, grouped heads, biases on queries, keys and values.

    >>> round(qwen2().parameter_count(151_936) / 1e6)  # Qwen2.5-0.5B
    494
    """
    return Decoder(
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        mlp_width=mlp_width,
        tied=tied,
        max_positions=max_positions,
        rotary_base=rotary_base,
        norm_floor=norm_floor,
        head_width=head_width,
        init_scale=init_scale,
        qkv_bias=True,
    )


def llama(
    width: int = 4096,
    layers: int = 32,
    heads: int = 32,
    kv_heads: int | None = None,
    mlp_width: int = 11_008,
    *,
    tied: bool = False,
    max_positions: int = 4096,
    rotary_base: float = 10_000.0,
    rotary_scaling: RotaryScaling | None = None,
    norm_floor: float = 1e-5,
    head_width: int | None = None,
    init_scale: float = 0.02,
) -> Decoder:
    """Llama 2 (as it stands) and 3 (`rotary_base=500_000`, `kv_heads`, `rotary_scaling`): no biases.

    >>> round(llama().parameter_count(32_000) / 1e6)  # Llama 2 7B
    6738
    """
    return Decoder(
        width=width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        mlp_width=mlp_width,
        tied=tied,
        max_positions=max_positions,
        rotary_base=rotary_base,
        rotary_scaling=rotary_scaling,
        norm_floor=norm_floor,
        head_width=head_width,
        init_scale=init_scale,
    )


def gpt2(
    width: int = 768,
    layers: int = 12,
    heads: int = 12,
    mlp_width: int | None = None,
    *,
    tied: bool = True,
    max_positions: int = 1024,
    norm_floor: float = 1e-5,
    init_scale: float = 0.02,
) -> Decoder:
    """GPT-2: LayerNorm, learned positions, GELU, biases everywhere, what writes to the stream starts smaller.

    Args:
        mlp_width: None means 4 x width.

    >>> round(gpt2().parameter_count(50_257) / 1e6)
    124
    """
    return Decoder(
        width=width,
        layers=layers,
        heads=heads,
        mlp_width=4 * width if mlp_width is None else mlp_width,
        tied=tied,
        max_positions=max_positions,
        norm_floor=norm_floor,
        init_scale=init_scale,
        norm="layer",
        activation="gelu",
        positions="learned",
        qkv_bias=True,
        out_bias=True,
        mlp_bias=True,
        scaled_residuals=True,
    )
