// The examples ('select'), and files that are no images, which the field above leaves out without a
// word: their names are told ('input').
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-name]");
  if (button) trigger("select", { name: button.dataset.name });
});
const refuse = (files) => {
  const other = Array.from(files ?? []).find(({ type }) => type && !type.startsWith("image/"));
  if (other) trigger("input", { name: other.name });
};
const inField = (event) => event.target.closest?.("#upload");
document.addEventListener("change", (event) => inField(event) && refuse(event.target.files), true);
document.addEventListener("drop", (event) => inField(event) && refuse(event.dataTransfer.files), true);
