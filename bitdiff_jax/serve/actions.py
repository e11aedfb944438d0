"""What the fields and buttons of the page do. All of it is in `service`; this tells the page."""

import logging
import traceback
from collections.abc import Callable
from typing import Any

import gradio as gr

from bitdiff_jax.errors import InputError
from bitdiff_jax.serve import downloads, image_field, layout, links, markup, service, uploads
from bitdiff_jax.serve.result_view import ResultView

_LOGGER = logging.getLogger(__name__)
_DEVICE = "device"  # drawings wait for each other; what is asked of a result does not
_FAILED = "The server failed at this, and has noted why; try it again, or another image."


def build(serving: service.Service) -> gr.Blocks:
    """The page of a service.

    Args:
        serving: does what the page is told.

    Returns:
        It is put on a port by `server.run`.
    """
    with gr.Blocks(title="bitdiff", analytics_enabled=False) as page:
        connect(page, layout.add_fields(serving), serving)
        page.queue(max_size=serving.limits.max_waiting, default_concurrency_limit=1)
    return page


def connect(page: gr.Blocks, f: layout.Fields, serving: service.Service) -> None:
    """Tells the fields of a page what they do."""
    limits = serving.limits
    settings = [f.num_samples, f.seed, f.preset, f.temperature]
    looked_at = [f.status, f.view, f.question, f.yes, f.no, f.back]
    drawn = [*looked_at, f.result, f.image_key, f.again, f.tools, f.results, f.cut]

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
            f.result: found,
            f.image_key: key,
            f.again: gr.update(interactive=True, value="Draw again"),
            f.tools: gr.update(visible=True),
            f.cut: layout.DEFAULT_CUT,
            f.results: {
                "key": found,
                "formats": downloads.labels(),
                "query": links.query(key, wanted),
                "kept": limits.keep_text,
            },
        }  # fmt: skip

    def on_upload(
        sent: image_field.Uploaded | None,
        *fields: Any,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> dict[Any, Any]:  # fmt: skip
        if sent is None:
            return {f.status: gr.skip()}
        return _told(f.status, lambda: draw(serving.receive(*sent), fields, progress))

    def on_example(
        event: gr.EventData, *fields: Any, progress: gr.Progress = gr.Progress()  # noqa: B008
    ) -> dict[Any, Any]:  # fmt: skip
        return _told(f.status, lambda: draw(service.example_key(str(event.name)), fields, progress))

    def on_refused(event: gr.EventData) -> dict[Any, Any]:
        return _told(f.status, lambda: refused(str(event.name), event.size))

    def refused(name: str, size: Any) -> dict[Any, Any]:
        name = uploads.plain_name(name)
        uploads.check_size(size if isinstance(size, int) else 0, name, limits)
        raise InputError(f"{name}: not an image file; convert it to PNG or JPEG")

    def on_key(
        key: str, *fields: Any, progress: gr.Progress = gr.Progress()  # noqa: B008
    ) -> dict[Any, Any]:  # fmt: skip
        return _told(f.status, lambda: draw(key, fields, progress))

    def on_load(request: gr.Request) -> dict[Any, Any]:
        return _told(f.status, lambda: opened(dict(request.query_params)))

    def opened(query: dict[str, str]) -> dict[Any, Any]:
        found = links.parse(query, limits)
        if found is None:
            return {f.status: gr.skip()}
        key, wanted = found
        noise = "" if wanted.temperature is None else f"{wanted.temperature:g}"
        return {
            f.num_samples: wanted.num_samples,
            f.seed: wanted.seed,
            f.preset: wanted.preset or "",
            f.temperature: gr.update(value=noise, allow_custom_value=True),
            f.linked: key,
        }  # fmt: skip

    def changed(key: str, change: Callable[[ResultView], ResultView]) -> dict[Any, Any]:
        return _told(f.status, lambda: outputs(*_looked_at(serving.change(key, change))))

    def on_points(key: str, event: gr.EventData) -> dict[Any, Any]:
        def answer() -> dict[Any, Any]:
            return {f.view: gr.update(told=_together(serving.view(key), event))}

        return _told(f.status, answer)

    def on_sample(key: str, event: gr.EventData) -> dict[Any, Any]:
        return _told(f.status, lambda: {f.view: serving.view(key).shown(event.sample)})

    def on_cut(key: str, value: float) -> dict[Any, Any]:
        return changed(key, lambda now: now.cut(value))

    def on_automatic(key: str) -> dict[Any, Any]:
        return changed(key, lambda now: now.cut(None)) | {f.cut: layout.DEFAULT_CUT}

    def on_answer(key: str, same: bool) -> dict[Any, Any]:
        return changed(key, lambda now: _answered(now, same))

    def on_back(key: str) -> dict[Any, Any]:
        return _told(f.status, lambda: outputs(*_looked_at(serving.forget_answers(key))))

    def edited(key: str, edit: dict[str, Any], progress: gr.Progress) -> dict[Any, Any]:
        def tell(share: float, text: str) -> None:
            progress(share, desc=text)

        return _told(
            f.status,
            lambda: (
                outputs(*_looked_at(serving.edit(key, edit, tell))) | {f.cut: layout.DEFAULT_CUT}
            ),
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
        "show_progress_on": f.status,
    }  # fmt: skip
    # Not queued: a queue that is full of drawings must not keep anyone from looking.
    looking: dict[str, Any] = {
        "queue": False, "api_visibility": "private", "show_progress": "hidden",
    }  # fmt: skip
    # Emptied by itself: among the outputs above gradio would make the field anew.
    # 'multiple': the next file may come while this one is being told of.
    f.upload.input(
        on_upload, [f.upload, *settings], trigger_mode="multiple", api_name="segment", **device
    ).then(lambda: None, None, f.upload, **looking)
    f.examples.select(on_example, settings, **device, api_visibility="private")
    f.examples.input(on_refused, None, [f.status], **looking)
    f.again.click(on_key, [f.image_key, *settings], **device, api_visibility="private")
    f.linked.change(on_key, [f.linked, *settings], **device, api_visibility="private")
    editing = {**device, "outputs": [*looked_at, f.cut], "api_visibility": "private"}
    f.view.submit(on_edit, [f.result], **editing)
    f.redraw.click(on_redraw, [f.result], **editing)
    f.undo.click(on_undo, [f.result], **editing)
    # Queued: of a change of state gradio tells a page by the queue alone.
    page.load(
        on_load, None, [f.status, f.linked, *settings], **{**looking, "queue": True},
        concurrency_limit=4,
    )  # fmt: skip
    f.view.select(on_points, [f.result], [f.status, f.view], **looking)
    f.view.input(on_sample, [f.result], [f.status, f.view], **looking)
    f.cut.input(on_cut, [f.result, f.cut], looked_at, trigger_mode="always_last", **looking)
    f.automatic.click(on_automatic, [f.result], [*looked_at, f.cut], **looking)
    f.yes.click(lambda key: on_answer(key, True), [f.result], looked_at, **looking)
    f.no.click(lambda key: on_answer(key, False), [f.result], looked_at, **looking)
    f.back.click(on_back, [f.result], looked_at, **looking)


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


def _together(shown: ResultView, event: gr.EventData) -> dict[str, Any]:
    try:
        p, q = ((int(point[0]), int(point[1])) for point in (event.p, event.q))
    except (AttributeError, TypeError, ValueError, IndexError):
        raise InputError("two points are needed; click two places in the image") from None
    # The turn makes it another value than the answer before, which the page would not tell again.
    return {"text": shown.together(p, q), "turn": getattr(event, "turn", None)}
