"""Writes Whisper's weights as the ggml file that whisper.cpp loads.

Source: `models/convert-pt-to-ggml.py` and `whisper_model_load` of whisper.cpp.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .ct2 import Weights
from .mel import filters

MAGIC = 0x67676D6C
TEXT_TOKENS = 50257
"""Ordinary tokens; whisper.cpp makes the special ones itself."""
HEAD_SIZE = 64
F32, F16 = 0, 1
PLAIN = ("encoder.positional_embedding", "decoder.positional_embedding")

Tensor = tuple[str, np.ndarray]


def write(path: Path, weights: Weights, vocabulary: Sequence[str]) -> None:
    """Write `weights`, as CTranslate2 names them, and the byte-level `vocabulary` to `path`."""
    with path.open("wb") as file:
        file.write(struct.pack("<I11i", MAGIC, *_sizes(weights)))
        mel = filters()
        file.write(struct.pack("<2i", *mel.shape) + mel.astype(np.float32).tobytes())
        _write_vocabulary(file, vocabulary)
        for name, values in _tensors(weights):
            _write_tensor(file, name, values)


def _sizes(weights: Weights) -> list[int]:
    vocabulary, width = weights["decoder/embeddings/weight"].shape
    audio = weights["encoder/position_encodings/encodings"].shape[0]
    text = weights["decoder/position_encodings/encodings"].shape[0]
    mels = weights["encoder/conv1/weight"].shape[1]
    encoder, decoder = (_layers(weights, side) for side in ("encoder", "decoder"))
    heads = width // HEAD_SIZE
    return [vocabulary, audio, width, heads, encoder, text, width, heads, decoder, mels, F16]


def _layers(weights: Weights, side: str) -> int:
    return sum(
        name.startswith(f"{side}/") and name.endswith("/self_attention/linear_0/weight") for name in weights
    )


def _write_vocabulary(file: BinaryIO, vocabulary: Sequence[str]) -> None:
    numbers = {letter: number for number, letter in _letters()}
    file.write(struct.pack("<i", TEXT_TOKENS))
    for token in vocabulary[:TEXT_TOKENS]:
        data = bytes(numbers[letter] for letter in token)
        file.write(struct.pack("<i", len(data)) + data)


def _letters() -> Iterator[tuple[int, str]]:
    """Each byte and the letter that stands for it in a byte-level vocabulary (GPT-2's `bytes_to_unicode`)."""
    others = 0
    for number in range(256):
        if 33 <= number <= 126 or 161 <= number <= 172 or 174 <= number <= 255:
            yield number, chr(number)
        else:
            yield number, chr(256 + others)
            others += 1


def _write_tensor(file: BinaryIO, name: str, values: np.ndarray) -> None:
    is_plain = values.ndim < 2 or name in PLAIN or name.endswith((".conv1.bias", ".conv2.bias"))
    data = values.astype(np.float32 if is_plain else np.float16)
    encoded = name.encode()
    file.write(struct.pack("<3i", data.ndim, len(encoded), F32 if is_plain else F16))
    file.write(struct.pack(f"<{data.ndim}i", *reversed(data.shape)) + encoded + data.tobytes())


def _tensors(weights: Weights) -> Iterator[Tensor]:
    for side in ("encoder", "decoder"):
        yield f"{side}.positional_embedding", weights[f"{side}/position_encodings/encodings"]
        for layer in range(_layers(weights, side)):
            yield from _layer(weights, f"{side}/layer_{layer}", f"{side}.blocks.{layer}")
    for conv in ("conv1", "conv2"):
        yield f"encoder.{conv}.weight", weights[f"encoder/{conv}/weight"]
        yield f"encoder.{conv}.bias", weights[f"encoder/{conv}/bias"][:, None]
    yield "decoder.token_embedding.weight", weights["decoder/embeddings/weight"]
    yield from _norm(weights, "encoder/layer_norm", "encoder.ln_post")
    yield from _norm(weights, "decoder/layer_norm", "decoder.ln")


def _layer(weights: Weights, theirs: str, ours: str) -> Iterator[Tensor]:
    yield from _attention(weights, f"{theirs}/self_attention", f"{ours}.attn")
    if f"{theirs}/attention/linear_0/weight" in weights:
        yield from _attention(weights, f"{theirs}/attention", f"{ours}.cross_attn")
    yield from _norm(weights, f"{theirs}/ffn/layer_norm", f"{ours}.mlp_ln")
    yield from _linear(weights, f"{theirs}/ffn/linear_0", f"{ours}.mlp.0")
    yield from _linear(weights, f"{theirs}/ffn/linear_1", f"{ours}.mlp.2")


def _attention(weights: Weights, theirs: str, ours: str) -> Iterator[Tensor]:
    """Query, key and value lie in one matrix there, or key and value of the other side in a second one."""
    fused = [number for number in range(2) if f"{theirs}/linear_{number + 1}/weight" in weights]
    for part in ("weight", "bias"):
        rows = np.concatenate([weights[f"{theirs}/linear_{number}/{part}"] for number in fused])
        for name, values in zip(("query", "key", "value"), np.split(rows, 3), strict=True):
            if (name, part) != ("key", "bias"):  # Whisper's keys have none
                yield f"{ours}.{name}.{part}", values
    yield from _linear(weights, f"{theirs}/linear_{len(fused)}", f"{ours}.out")
    yield from _norm(weights, f"{theirs}/layer_norm", f"{ours}_ln")


def _linear(weights: Weights, theirs: str, ours: str) -> Iterator[Tensor]:
    for part in ("weight", "bias"):
        yield f"{ours}.{part}", weights[f"{theirs}/{part}"]


def _norm(weights: Weights, theirs: str, ours: str) -> Iterator[Tensor]:
    yield f"{ours}.weight", weights[f"{theirs}/gamma"]
    yield f"{ours}.bias", weights[f"{theirs}/beta"]
