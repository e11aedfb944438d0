// Downloads and the link. `props.value` is { key, formats, query, kept }; `formats` are pairs: name, label.
const box = () => element.querySelector(".bd-links");
const say = (text) => { element.querySelector(".bd-said").textContent = text; };

const button = (text, action, title) => {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  if (title) made.title = title;
  made.addEventListener("click", () => action(made));
  return made;
};

const fetchFile = async (key, format, label, made) => {
  made.disabled = true;
  say(`Writing: ${label} ...`);
  try {
    const answer = await fetch(`download/${key}/${encodeURIComponent(format)}`);
    if (!answer.ok) {
      say(await answer.text());
      return;
    }
    const named = /filename\*=UTF-8''([^;]+)/.exec(answer.headers.get("content-disposition"));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = named ? decodeURIComponent(named[1]) : format;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say(`${link.download} is downloaded.`);
  } catch {
    say("The server did not answer; try again.");
  } finally {
    made.disabled = false;
  }
};

const load = () => {
  say("");
  box().replaceChildren();
  if (!props.value) return;
  const { key, formats, query, kept } = props.value;
  box().append("Download ");
  for (const [format, label] of formats) {
    const made = button(label, (self) => fetchFile(key, format, label, self), format);
    made.dataset.format = format;
    box().append(made, " ");
  }
  const link = document.createElement("a");
  const address = new URL(window.location.href);
  address.search = query;
  link.href = address.href;
  link.textContent = "Link that draws this again";
  link.className = "bd-link";
  const copy = button("copy", async () => {
    try {
      await navigator.clipboard.writeText(link.href);
      say(`The link is copied. It works as long as this server keeps the image: ${kept}.`);
    } catch {
      say("The browser does not let this page copy; copy the address of the link instead.");
    }
  });
  const row = document.createElement("span");
  row.className = "bd-share";
  row.append(link, " ", copy, ` (kept for ${kept})`);
  box().append(row);
  window.history.replaceState(null, "", link.href);
};
watch("value", load);
load();
