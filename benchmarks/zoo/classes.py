"""Which class of an architecture is trained: those with a loss of their own come first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

#: Heads in the order of choice; the bare model comes last.
HEADS = """CAUSAL_LM MULTIMODAL_LM IMAGE_TEXT_TO_TEXT SEQ_TO_SEQ_CAUSAL_LM SPEECH_SEQ_2_SEQ CTC
MASKED_LM IMAGE_CLASSIFICATION SEMANTIC_SEGMENTATION OBJECT_DETECTION UNIVERSAL_SEGMENTATION
INSTANCE_SEGMENTATION VIDEO_CLASSIFICATION AUDIO_CLASSIFICATION SEQUENCE_CLASSIFICATION
DEPTH_ESTIMATION TIME_SERIES_PREDICTION PRETRAINING MASKED_IMAGE_MODELING
CAUSAL_IMAGE_MODELING ZERO_SHOT_IMAGE_CLASSIFICATION ZERO_SHOT_OBJECT_DETECTION
TOKEN_CLASSIFICATION QUESTION_ANSWERING VISUAL_QUESTION_ANSWERING IMAGE_TO_IMAGE IMAGE_MATTING
KEYPOINT_DETECTION KEYPOINT_MATCHING MASK_GENERATION TEXT_TO_SPECTROGRAM TEXT_TO_WAVEFORM
TEXT_RECOGNITION TABLE_RECOGNITION POSE_ESTIMATION RNNT TDT NORMAL_ESTIMATION POINTMAP_ESTIMATION
RETRIEVAL DECISION TEXT_ENCODING IMAGE BACKBONE""".split()


@cache
def _mappings() -> dict[str, dict[str, Any]]:
    from transformers.models.auto import modeling_auto

    names = [f"MODEL_FOR_{head}_MAPPING_NAMES" for head in HEADS] + ["MODEL_MAPPING_NAMES"]
    return {name: dict(getattr(modeling_auto, name, {})) for name in names}


def architectures() -> list[str]:
    """Every model type that some `AutoModel` class can build, in order of name."""
    return sorted({kind for mapping in _mappings().values() for kind in mapping})


def classes_of(kind: str) -> Iterator[Any]:
    """The classes that build a model type, best first."""
    import transformers

    seen = set()
    for mapping in _mappings().values():
        names = mapping.get(kind, ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in seen and hasattr(transformers, name):
                seen.add(name)
                yield getattr(transformers, name)
