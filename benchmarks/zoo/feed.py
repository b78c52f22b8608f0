"""Inputs for any architecture, from its forward's parameters and its configuration alone."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import torch

from zoo.shrink import FIRST_MARK

BATCH, SEQUENCE = 2, 16
#: Words are drawn below the marks and above the usual special ids.
WORDS = (5, FIRST_MARK - 4)
NUM_MARKS_AT_FIRST = 4


class Wants:
    """What a model is fed: sizes read from its configuration, tensors drawn under the seed."""

    def __init__(self, config: Any, parameters: dict[str, inspect.Parameter]) -> None:
        self.config = config
        self.parameters = parameters
        self.parts = list(_parts(config))
        self.num_marks = NUM_MARKS_AT_FIRST

    def number(self, *names: str, default: int) -> int:
        """The first of these fields that any part of the configuration holds, as a number."""
        for name in names:
            for part in self.parts:
                value = getattr(part, name, None)
                if isinstance(value, (list, tuple)) and value:
                    value = value[0]
                if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                    return value
        return default

    def ids(self, length: int = SEQUENCE) -> torch.Tensor:
        """Word ids [batch, length], int64."""
        end = min(WORDS[1], self.number("vocab_size", default=WORDS[1]))
        return torch.randint(min(WORDS[0], end - 1), end, (BATCH, length))

    def image(self) -> torch.Tensor:
        """Images [batch, channels, side, side]."""
        side = self.number("image_size", "img_size", "input_size", default=64)
        channels = self.number("num_channels", "in_channels", "in_chans", default=3)
        return torch.randn(BATCH, channels, side, side)

    def grid(self) -> torch.Tensor:
        """One image a row: frames, rows and columns of patches, [batch, 3]."""
        side = 2 * self.number("spatial_merge_size", "merge_size", default=2)
        return torch.tensor([[1, side, side]] * BATCH)

    def patches(self) -> torch.Tensor:
        """The patches of `grid`, flattened: [rows, channels × frames × side × side]."""
        side = self.number("patch_size", default=14)
        frames = self.number("temporal_patch_size", default=1)
        width = self.number("in_channels", "in_chans", "num_channels", default=3)
        return torch.randn(int(self.grid().prod(1).sum()), width * frames * side * side)

    def marks(self) -> list[int]:
        """Ids that stand for images in the text."""
        names = ("image_token_id", "image_token_index", "media_placeholder_token_id")
        return [v for n in names for p in self.parts if isinstance(v := getattr(p, n, None), int)]

    def sounds(self) -> list[int]:
        """Ids that stand for sound in the text."""
        names = ("audio_token_id", "audio_token_index")
        return [v for n in names for p in self.parts if isinstance(v := getattr(p, n, None), int)]


def _parts(config: Any) -> list[Any]:
    out = [config]
    for value in vars(config).values():
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            out.extend(_parts(value))
    return out


def _input_ids(wants: Wants) -> torch.Tensor:
    marks = wants.marks() if "pixel_values" in wants.parameters else []
    marks = marks or (wants.sounds() if _hears(wants) else [])
    if not marks:
        return wants.ids()
    ids = wants.ids(SEQUENCE + wants.num_marks)
    ids[:, 2 : 2 + wants.num_marks] = marks[0]
    return ids


def _hears(wants: Wants) -> bool:
    return "input_features" in wants.parameters or "input_values" in wants.parameters


def _pixels(wants: Wants) -> torch.Tensor:
    if "image_grid_thw" in wants.parameters or "grid_thw" in wants.parameters:
        return wants.patches()
    return wants.image()


def _features(wants: Wants) -> torch.Tensor:
    mels = wants.number("feature_projection_input_dim", "num_mel_bins", "n_mels",
                        "input_feat_size", "feature_size", default=80)  # fmt: skip
    mels *= wants.number("num_stacked_frames", default=1)
    length = 2 * wants.number("max_source_positions", default=64)
    length = min(length, 3000)
    return torch.randn(BATCH, mels, length)


def _many_features(wants: Wants) -> torch.Tensor:
    return _features(wants).transpose(1, 2).contiguous()


def _wave(wants: Wants) -> torch.Tensor:
    mels = wants.number("num_mel_bins", default=0)
    length = wants.number("max_length", default=1024)
    if mels:
        return torch.randn(BATCH, length, mels)
    return 0.1 * torch.randn(BATCH, 8000)


def _video(wants: Wants) -> torch.Tensor:
    frames = wants.number("num_frames", "frames_per_clip", "image_size_frames", default=4)
    image = wants.image()
    return torch.randn(BATCH, frames, *image.shape[1:])


def _hidden(wants: Wants) -> torch.Tensor:
    return wants.patches()


def _width(wants: Wants) -> int:
    return wants.number("hidden_size", "d_model", default=64)


def _past(wants: Wants) -> torch.Tensor:
    lags = max(getattr(wants.config, "lags_sequence", None) or [0])
    length = wants.number("context_length", "prediction_length", default=32) + lags
    channels = wants.number("num_input_channels", "input_size", default=1)
    shape = (BATCH, length) if channels == 1 and lags else (BATCH, length, channels)
    return torch.randn(shape)


def _times(wants: Wants) -> torch.Tensor:
    return torch.randn(*_past(wants).shape[:2], max(1, wants.config.num_time_features))


def _future(wants: Wants) -> torch.Tensor:
    return torch.randn(BATCH, wants.number("prediction_length", default=8))


def _future_times(wants: Wants) -> torch.Tensor:
    return torch.randn(*_future(wants).shape, max(1, wants.config.num_time_features))


def _boxes(wants: Wants) -> torch.Tensor:
    corner = torch.randint(0, 50, (BATCH, SEQUENCE, 2))
    return torch.cat([corner, corner + torch.randint(1, 50, (BATCH, SEQUENCE, 2))], -1)


def _wide(length: int) -> Callable[[Wants], torch.Tensor]:
    return lambda wants: torch.randn(BATCH, length, _width(wants))


Maker = Callable[[Wants], Any]
#: What each parameter is fed wherever a forward asks for it.
ALWAYS: dict[str, Maker] = {
    "input_ids": _input_ids,
    "pixel_values": _pixels,
    "image_grid_thw": Wants.grid,
    "grid_thw": Wants.grid,
    "input_features": _features,
    "input_values": _wave,
    "pixel_values_videos": _video,
    "past_values": _past,
    "past_time_features": _times,
    "past_observed_mask": lambda w: torch.ones_like(_past(w)),
    "future_values": _future,
    "future_time_features": _future_times,
    "decoder_input_ids": lambda w: w.ids(8),
    "bbox": _boxes,
    "flattened_patches": lambda w: torch.cat(
        [torch.arange(2.0 * BATCH * 8).view(BATCH, 8, 2) % 4,
         torch.randn(BATCH, 8, w.number("patch_embed_hidden_size", default=768))], -1),
    "states": lambda w: torch.randn(BATCH, 5, w.config.state_dim),
    "actions": lambda w: torch.randn(BATCH, 5, w.config.act_dim),
    "rewards": lambda w: torch.randn(BATCH, 5, 1),
    "returns_to_go": lambda w: torch.randn(BATCH, 5, 1),
    "timesteps": lambda w: torch.arange(5).expand(BATCH, 5),
    "visual_feats": lambda w: torch.randn(BATCH, 4, w.number("visual_feat_dim", default=2048)),
    "visual_pos": lambda w: torch.rand(BATCH, 4, 4),
    "return_loss": lambda w: True,
    "mm_token_type_ids": lambda w: (_input_ids(w) == (w.marks() or [-1])[0]).long(),
    "qformer_input_ids": Wants.ids,
    "task_inputs": lambda w: torch.randint(0, 100, (BATCH, 77)),
    "query_embeds": _wide(8),
    "latents": lambda w: torch.randn(BATCH, w.number("latent_dim", "hidden_size", default=32), 8),
    "noise_embeds": _wide(8),
    "context_hidden_states": _wide(8),
    "inputs_embeds_required": _wide(SEQUENCE),
    "spatial_shapes": lambda w: torch.tensor([[4, 4]] * BATCH),
    "image_sizes": lambda w: torch.tensor([list(w.image().shape[2:])] * BATCH),
    "prompt_pixel_values": Wants.image,
    "prompt_masks": Wants.image,
    "merge_sizes": lambda w: torch.tensor([1] * BATCH),
}  # fmt: skip
#: Fed only where a forward cannot do without.
NEEDED: dict[str, Maker] = {
    "hidden_states": _hidden,
    "inputs": lambda w: w.ids(),
    "inputs_embeds": _wide(SEQUENCE),
    "attention_mask": lambda w: torch.ones(BATCH, SEQUENCE, dtype=torch.int64),
    "input_features_mask": lambda w: torch.ones(BATCH, _features(w).shape[-1], dtype=torch.int64),
    "pixel_attention_mask": lambda w: torch.ones(BATCH, 16, dtype=torch.int64),
    "audio_mel": _many_features,
    "audio_mel_mask": lambda w: torch.zeros(BATCH, _features(w).shape[-1], dtype=torch.bool),
}
#: Fed at first, left out where the model does not take them so.
_DOUBTFUL = (
    "image_sizes",
    "decoder_input_ids",
    "return_loss",
    "spatial_shapes",
    "past_time_features",
)


def labels_for(name: str, wants: Wants, feed: dict[str, Any]) -> list[Any]:
    """Labels that a class of this name may take, likeliest first."""
    num = wants.number("num_labels", default=2)
    classes = torch.randint(0, num, (BATCH,))
    image = feed.get("pixel_values")
    side = image.shape[-1] if isinstance(image, torch.Tensor) and image.dim() >= 4 else 64
    area = torch.randint(0, num, (BATCH, side, side))
    box = torch.tensor([[0.5, 0.5, 0.4, 0.4], [0.3, 0.6, 0.2, 0.2]])
    detections = [{"class_labels": torch.tensor([0, 1]), "boxes": box}] * BATCH
    ids = feed.get("input_ids")
    decoder = wants.ids(8)
    if "SemanticSegmentation" in name:
        return [area]
    if ("Detection" in name and "input_ids" not in feed) or "Segmentation" in name:
        return [detections, [{**d, "masks": torch.ones(2, side, side)} for d in detections]]
    if "Depth" in name:
        return [torch.rand(BATCH, side, side)]
    if "TokenClassification" in name and ids is not None:
        return [torch.randint(0, num, ids.shape)]
    if "Classification" in name:
        return [classes]
    if "CTC" in name or "RNNT" in name or "TDT" in name:
        return [decoder]
    return [*([ids] if isinstance(ids, torch.Tensor) else []), decoder, classes]


def feeds(cls: Any, config: Any) -> list[dict[str, Any]]:
    """Sets of inputs to try, fullest first."""
    parameters = dict(list(inspect.signature(cls.forward).parameters.items())[1:])
    wants = Wants(config, parameters)
    needed = [n for n, p in parameters.items() if p.default is p.empty and p.kind < 2]
    full = {n: make(wants) for n, make in ALWAYS.items() if n in parameters and _makes(make, wants)}
    if "pixel_values" in full:
        full.pop("pixel_values_videos", None)
    full |= {n: NEEDED[n](wants) for n in needed if n in NEEDED and n not in full}
    if not full and "inputs_embeds" in parameters:
        full["inputs_embeds"] = NEEDED["inputs_embeds"](wants)
    if not full and "kwargs" in parameters and "input_ids" in str(cls.main_input_name):
        full["input_ids"] = _input_ids(wants)
    out = []
    labelled = "labels" in parameters
    variants = [full]
    if any(n in full for n in _DOUBTFUL):
        variants.append({n: v for n, v in full.items() if n not in _DOUBTFUL or n in needed})
    if "past_time_features" in full:
        variants.append({n: v[..., :0] if "time_features" in n else v for n, v in full.items()})
    if "input_features" in full:
        variants.append(
            {**full, "input_features": full["input_features"].transpose(1, 2).contiguous()}
        )
    if "input_values" in full:
        variants.append({**full, "input_values": 0.1 * torch.randn(BATCH, 1, 8000)})
    if "pixel_values" in full and full["pixel_values"].dim() == 4:
        variants.append({**full, "pixel_values": full["pixel_values"][:, None]})
        variants.append({**full, "pixel_values": _video(wants)})
    text_only = {n: v for n, v in full.items() if n in needed or re.search("ids|return", n)}
    if "input_ids" in text_only and len(text_only) < len(full):
        variants.append({**text_only, "input_ids": wants.ids()})
    for variant in variants:
        if labelled:
            out += [{**variant, "labels": y} for y in labels_for(cls.__name__, wants, variant)]
        out.append(variant)
    return out


def _makes(make: Maker, wants: Wants) -> bool:
    try:
        make(wants)
    except (AttributeError, TypeError):
        return False
    return True


_TOKENS = re.compile(r"tokens: (\d+)\D+(\d+)|number of tokens (\d+)\D+(\d+)")


def with_as_many_marks(
    feed: dict[str, Any], problem: Exception, config: Any
) -> dict[str, Any] | None:
    """The feed with as many marks in the text as the error says there are image features."""
    match = _TOKENS.search(str(problem))
    ids = feed.get("input_ids")
    if match is None or ids is None:
        return None
    features = int(match[2] or match[4]) // BATCH
    wants = Wants(config, {"pixel_values": None, "input_features": None})  # type: ignore[dict-item]
    marks = [m for m in (*wants.marks(), *wants.sounds()) if (ids == m).any()]
    if not marks or not 0 < features < 3000:
        return None
    grown = wants.ids(SEQUENCE + features)
    grown[:, 2 : 2 + features] = marks[0]
    out = {**feed, "input_ids": grown}
    if "mm_token_type_ids" in feed:
        out["mm_token_type_ids"] = (grown == marks[0]).long()
    labels = feed.get("labels")
    if isinstance(labels, torch.Tensor) and labels.shape == ids.shape:
        out["labels"] = grown
    return out
