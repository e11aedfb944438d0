"""What is on the page: its fields and buttons. What they do is in `actions`."""

from typing import NamedTuple

import gradio as gr

from bitdiff_jax.diffusion import presets
from bitdiff_jax.serve import image_field, markup
from bitdiff_jax.serve.service import Service

DEFAULT_CUT = 0.7
_TEMPERATURES = ("0", "0.1", "0.5", "1")


def theme() -> gr.themes.Base:
    """The page's colours, with the fonts of the visitor's machine: nothing is fetched."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        # The theme's own are too pale to be read on white.
        body_text_color_subdued="*neutral_500",
        block_info_text_color="*neutral_500",
    )


class Fields(NamedTuple):
    """The components of the page, in their order."""

    result: gr.State
    image_key: gr.State
    linked: gr.State
    upload: gr.Image
    examples: gr.HTML
    num_samples: gr.Slider
    seed: gr.Number
    preset: gr.Dropdown
    temperature: gr.Dropdown
    again: gr.Button
    status: gr.HTML
    view: gr.HTML
    tools: gr.Column
    cut: gr.Slider
    automatic: gr.Button
    redraw: gr.Button
    undo: gr.Button
    question: gr.HTML
    yes: gr.Button
    no: gr.Button
    back: gr.Button
    results: gr.HTML


def add_fields(serving: Service) -> Fields:
    """Puts the page's components into the `gr.Blocks` that is open."""
    limits = serving.limits
    result, image_key = gr.State(""), gr.State("")
    linked = gr.State("")  # the image of the address that the page was opened with
    gr.HTML(markup.head(serving), js_on_load=markup.asset("theme.js"))
    with gr.Row():
        with gr.Column(scale=1, min_width=280):
            upload = image_field.unopened(
                gr.Image(
                    label=f"Image, up to {limits.max_bytes / 1e6:.0f} MB",
                    sources=["upload", "webcam", "clipboard"], type="filepath", height=230,
                    elem_id="upload",
                )
            )  # fmt: skip
            examples = gr.HTML(
                markup.examples(serving),
                js_on_load=markup.asset("examples.js"),
                elem_id="examples",
            )
            with gr.Accordion("Settings", open=False):
                num_samples = gr.Slider(
                    1, limits.max_samples, value=min(8, limits.max_samples), step=1,
                    label="Samples", info="More say better how sure the model is.",
                    elem_id="num_samples",
                )  # fmt: skip
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, elem_id="seed")
                preset = gr.Dropdown(
                    [("the model's own", ""), *((each, each) for each in presets.SETTINGS)],
                    value="", label="Preset",
                    info="faithful: frequencies of samples that can be trusted",
                )  # fmt: skip
                temperature = gr.Dropdown(
                    [("the preset's", ""), *((each, each) for each in _TEMPERATURES)],
                    value="", label="Temperature", info="Less gives samples more alike.",
                )  # fmt: skip
            again = gr.Button("Draw", variant="primary", elem_id="again", interactive=False)
        with gr.Column(scale=3, min_width=320):
            status = gr.HTML(markup.status("Ready."), elem_id="status")
            view = gr.HTML(
                None,
                html_template=markup.asset("viewer.html"),
                js_on_load=markup.asset("viewer.js"),
                elem_id="view",
                told=None,
            )
            with gr.Column(visible=False) as tools:
                question = gr.HTML("", elem_id="question")
                with gr.Row():
                    yes = gr.Button("Yes, one region", elem_id="yes", min_width=90)
                    no = gr.Button("No, two", elem_id="no", min_width=90)
                    back = gr.Button("Take back all answers", elem_id="back", min_width=90)
                with gr.Row(equal_height=True):
                    cut = gr.Slider(
                        0, 1, value=DEFAULT_CUT, step=0.05, scale=4, elem_id="cut",
                        label="Finer or coarser",
                        info="Regions are joined up to this mean probability of lying apart.",
                    )  # fmt: skip
                    automatic = gr.Button("Automatic", scale=1, min_width=110)
                with gr.Row():
                    redraw = gr.Button("Draw what is not held anew", elem_id="redraw", min_width=90)
                    undo = gr.Button("Undo the last edit", elem_id="undo", min_width=90)
                results = gr.HTML(
                    None, html_template=markup.asset("results.html"),
                    js_on_load=markup.asset("results.js"), elem_id="results",
                )  # fmt: skip
    return Fields(
        result,
        image_key,
        linked,
        upload,
        examples,
        num_samples,
        seed,
        preset,
        temperature,
        again,
        status,
        view,
        tools,
        cut,
        automatic,
        redraw,
        undo,
        question,
        yes,
        no,
        back,
        results,
    )
