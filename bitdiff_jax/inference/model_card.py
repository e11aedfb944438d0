"""The model card of a packed model: what a hub shows of it."""

import json

from bitdiff_jax.inference.model_files import About


def text(name: str, num_params: int, dtype: str, about: About) -> str:
    """A model card in Markdown, with the header that Hugging Face reads.

    It says what the file knows of its model. What a reader needs besides, such as scores and what
    the model is bad at, is for its author to add.

    Args:
        name: what the model is called.
        num_params: number of parameters in the file.
        dtype: what they are stored in.
        about: what the file says of its model.
    """
    header = ["library_name: bitdiff_jax", "pipeline_tag: image-segmentation"]
    header += ["tags:", *(f"- {tag}" for tag in ("image-segmentation", "bit-diffusion", "jax"))]
    if about.licence:
        header[:0] = ["license: other"]
    model, sampling = about.config["model"], about.config["sampling"]
    drawn = f"{sampling['num_steps']} steps, guidance {sampling['guidance_weight'] or 0:g}"
    if sampling["temperature"] != 1:
        drawn += f", temperature {sampling['temperature']:g}"
    encoder = f"{about.encoder}, tuned, in the file in float16" if about.encoder else ""
    if about.encoder_hash:
        encoder = f"{about.encoder}, frozen, not in the file, hash `{about.encoder_hash}`"
    facts = {
        "parameters": f"{num_params:,}, {dtype}, of step {about.step:,} ({about.param_set})",
        "label maps": f"{model['image_size']} x {model['image_size']} pixels",
        "sampling": drawn,
        "image encoder": encoder,
        "trained on": about.trained_on,
        "data sets": about.data_sets,
        "terms of use": about.licence,
    }
    rows = "".join(f"| {key} | {value} |\n" for key, value in facts.items() if value)
    return f"""---
{chr(10).join(header)}
---

# {name}

Class-agnostic image segmentation by bit diffusion: the model draws whole label maps of an image,
each sample another plausible one. A model of [bitdiff_jax](https://arxiv.org/abs/2601.02881).

| | |
|---|---|
{rows}
```bash
pip install 'bitdiff_jax[hub]'
bitdiff segment photo.jpg --weights OWNER/{name} --out segmented
```

```python
from bitdiff_jax import Segmenter

segmenter = Segmenter.from_pretrained({json.dumps(f"OWNER/{name}")})
label_map = segmenter("photo.jpg").label_map()
```

`config.json` holds every setting of the training, apart from where its data was.
"""
