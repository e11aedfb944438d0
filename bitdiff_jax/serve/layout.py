"""The page itself: fields, buttons and what they call. All that it does is in `service`."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import gradio as gr

from bitdiff_jax.diffusion import presets
from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import downloads, image_field, links, markup, service
from bitdiff_jax.serve.result_view import ResultView

_LOGGER = logging.getLogger(__name__)
_DEVICE = "device"  # drawings wait for each other; what is asked of a result does not
_SWEEP_SECONDS = 60
_TEMPERATURES = ("0", "0.1", "0.5", "1")
_FAILED = "The server failed at this, and has noted why; try it again, or another image."


def theme() -> gr.themes.Base:
    """The page's colours, with the fonts of the visitor's machine: nothing is fetched."""
    return gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )


def build(serving: service.Service) -> gr.Blocks:
    """The page of a service.

    Args:
        serving: does what the page is told.

    Returns:
        It is put on a port by `server.run`.
    """
    limits = serving.limits
    with gr.Blocks(
        title="bitdiff",
        analytics_enabled=False,
        delete_cache=(_SWEEP_SECONDS, limits.keep_seconds),
    ) as page:
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
                )
                with gr.Column(visible=False) as tools:
                    said = gr.HTML("", elem_id="said")
                    with gr.Row(equal_height=True):
                        cut = gr.Slider(
                            0, 1, value=0.7, step=0.05, scale=4, elem_id="cut",
                            label="Finer or coarser",
                            info="Regions are joined up to this mean probability of lying apart.",
                        )  # fmt: skip
                        automatic = gr.Button("Automatic", scale=1, min_width=110)
                    with gr.Row():
                        redraw = gr.Button(
                            "Draw what is not held anew", elem_id="redraw", min_width=90
                        )
                        undo = gr.Button("Undo the last edit", elem_id="undo", min_width=90)
                    question = gr.HTML("", elem_id="question")
                    with gr.Row():
                        yes = gr.Button("Yes, one region", elem_id="yes", min_width=90)
                        no = gr.Button("No, two", elem_id="no", min_width=90)
                        back = gr.Button("Take back all answers", elem_id="back", min_width=90)
                    results = gr.HTML(
                        None, html_template=markup.asset("results.html"),
                        js_on_load=markup.asset("results.js"), elem_id="results",
                    )  # fmt: skip

        settings = [num_samples, seed, preset, temperature]
        looked_at = [status, view, question, yes, no, back]
        drawn = [*looked_at, said, result, image_key, again, tools, results, cut]

        def outputs(*values: Any) -> dict[Any, Any]:
            """What changes on the page when another result, or another view of it, is shown."""
            return dict(zip(looked_at, values, strict=True))

        def draw(
            key: str, fields: tuple[Any, ...], progress: gr.Progress
        ) -> dict[Any, Any]:  # fmt: skip
            wanted = service.settings_of(*fields)
            found = serving.draw(key, wanted, lambda share, text: progress(share, desc=text))
            shown = serving.view(found)
            return outputs(*_looked_at(shown)) | {
                said: "",
                result: found,
                image_key: key,
                again: gr.update(interactive=True, value="Draw again"),
                tools: gr.update(visible=True),
                cut: 0.7,
                results: {
                    "key": found,
                    "formats": downloads.names(),
                    "query": links.query(key, wanted),
                    "kept": limits.keep_text,
                },
            }  # fmt: skip

        def on_upload(
            sent: image_field.Uploaded | None, *fields: Any, progress: gr.Progress = gr.Progress()  # noqa: B008
        ) -> dict[Any, Any]:  # fmt: skip
            if sent is None:
                return {status: gr.skip()}
            return _told(status, lambda: draw(serving.receive(*sent), fields, progress))

        def on_example(
            event: gr.EventData, *fields: Any, progress: gr.Progress = gr.Progress()  # noqa: B008
        ) -> dict[Any, Any]:  # fmt: skip
            return _told(
                status, lambda: draw(service.example_key(str(event.name)), fields, progress)
            )

        def on_key(
            key: str, *fields: Any, progress: gr.Progress = gr.Progress()  # noqa: B008
        ) -> dict[Any, Any]:  # fmt: skip
            return _told(status, lambda: draw(key, fields, progress))

        def on_load(request: gr.Request) -> dict[Any, Any]:
            return _told(status, lambda: opened(dict(request.query_params)))

        def opened(query: dict[str, str]) -> dict[Any, Any]:
            found = links.parse(query, limits)
            if found is None:
                return {status: gr.skip()}
            key, wanted = found
            noise = "" if wanted.temperature is None else f"{wanted.temperature:g}"
            return {
                num_samples: wanted.num_samples,
                seed: wanted.seed,
                preset: wanted.preset or "",
                temperature: gr.update(value=noise, allow_custom_value=True),
                linked: key,
            }  # fmt: skip

        def changed(key: str, change: Callable[[ResultView], ResultView]) -> dict[Any, Any]:
            return _told(status, lambda: outputs(*_looked_at(serving.change(key, change))))

        def on_points(key: str, event: gr.EventData) -> dict[Any, Any]:
            return _told(status, lambda: {said: markup.line(_together(serving.view(key), event))})

        def on_sample(key: str, event: gr.EventData) -> dict[Any, Any]:
            return _told(status, lambda: {view: serving.view(key).shown(event.sample)})

        def on_cut(key: str, value: float) -> dict[Any, Any]:
            return changed(key, lambda now: now.cut(value))

        def on_automatic(key: str) -> dict[Any, Any]:
            return changed(key, lambda now: now.cut(None))

        def on_answer(key: str, same: bool) -> dict[Any, Any]:
            return changed(key, lambda now: _answered(now, same))

        def on_back(key: str) -> dict[Any, Any]:
            return _told(status, lambda: outputs(*_looked_at(serving.forget_answers(key))))

        def edited(key: str, edit: dict[str, Any], progress: gr.Progress) -> dict[Any, Any]:
            def tell(share: float, text: str) -> None:
                progress(share, desc=text)

            return _told(
                status, lambda: outputs(*_looked_at(serving.edit(key, edit, tell))) | {cut: 0.7}
            )

        def on_edit(
            key: str, event: gr.EventData, progress: gr.Progress = gr.Progress()  # noqa: B008
        ) -> dict[Any, Any]:  # fmt: skip
            return edited(key, {"edit": event.edit, "points": event.points}, progress)

        def on_redraw(
            key: str, progress: gr.Progress = gr.Progress()  # noqa: B008
        ) -> dict[Any, Any]:  # fmt: skip
            return edited(key, {"edit": "redraw"}, progress)

        def on_undo(
            key: str, progress: gr.Progress = gr.Progress()  # noqa: B008
        ) -> dict[Any, Any]:  # fmt: skip
            return edited(key, {"edit": "undo"}, progress)

        device: dict[str, Any] = {
            "outputs": drawn, "concurrency_id": _DEVICE, "concurrency_limit": 1,
            "show_progress_on": status,
        }  # fmt: skip
        looking: dict[str, Any] = {
            "concurrency_id": "looking", "concurrency_limit": 4, "api_visibility": "private",
            "show_progress": "hidden",
        }  # fmt: skip
        # Emptied by itself: among the outputs above gradio would make the field anew.
        upload.input(on_upload, [upload, *settings], **device, api_name="segment").then(
            lambda: None, None, upload, **looking
        )
        examples.select(on_example, settings, **device, api_visibility="private")
        again.click(on_key, [image_key, *settings], **device, api_visibility="private")
        linked.change(on_key, [linked, *settings], **device, api_visibility="private")
        editing = {**device, "outputs": [*looked_at, cut], "api_visibility": "private"}
        view.submit(on_edit, [result], **editing)
        redraw.click(on_redraw, [result], **editing)
        undo.click(on_undo, [result], **editing)
        page.load(on_load, None, [status, linked, *settings], **looking)
        view.select(on_points, [result], [status, said], **looking)
        view.input(on_sample, [result], [status, view], **looking)
        cut.input(on_cut, [result, cut], looked_at, trigger_mode="always_last", **looking)
        automatic.click(on_automatic, [result], looked_at, **looking)
        yes.click(lambda key: on_answer(key, True), [result], looked_at, **looking)
        no.click(lambda key: on_answer(key, False), [result], looked_at, **looking)
        back.click(on_back, [result], looked_at, **looking)
        page.queue(max_size=limits.max_waiting, default_concurrency_limit=1)
    return page


def _told(status: gr.HTML, work: Callable[[], dict[Any, Any]]) -> dict[Any, Any]:
    """What the work gives; of what a visitor can mend one sentence, and the page stays as it is."""
    try:
        return work()
    except InputError as error:
        return {status: markup.status(str(error), is_error=True)}
    except Exception:  # a fault of ours must not end the page, and its details are not a visitor's
        _LOGGER.error("%s", traceback.format_exc())
        return {status: markup.status(_FAILED, is_error=True)}


def _looked_at(shown: ResultView) -> tuple[Any, ...]:
    """The values of status, view, question and its three buttons."""
    asked = shown.question
    several = shown.posterior.num_samples > 1
    if asked is not None:
        text = "What would help most: do <b>A</b> and <b>B</b> lie in one region?"
    elif several:
        text = "The samples that are left agree, so there is nothing to ask."
    else:
        text = "One sample leaves nothing to ask; draw more."
    return (
        markup.status(f"{shown.full.name or 'image'}: {shown.summary()}.", notes=shown.notes()),
        shown.shown(),
        f"<p>{text}</p>",
        gr.update(visible=asked is not None),
        gr.update(visible=asked is not None),
        gr.update(visible=bool(shown.answers)),
    )


def _answered(shown: ResultView, same: bool) -> ResultView:
    asked = shown.question
    return shown if asked is None else shown.answered(asked.p, asked.q, same)


def _together(shown: ResultView, event: gr.EventData) -> str:
    try:
        p, q = ((int(point[0]), int(point[1])) for point in (event.p, event.q))
    except (AttributeError, TypeError, ValueError, IndexError):
        raise InputError("two points are needed; click two places in the image") from None
    return shown.together(p, q)
