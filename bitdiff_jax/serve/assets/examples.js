// The examples ('select'), and files on their way to the field above them. Those that are no images
// or too large are refused here ('input'): the field would tell the one without a remedy, the other
// in units of its own. And it takes pasted images by its button alone; here by the keyboard.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-name]");
  if (button) trigger("select", { name: button.dataset.name });
});
const mostBytes = () => Number(element.querySelector(".bd-examples").dataset.maxBytes);
const inField = (event) => event.target.closest?.("#upload");
const isRefused = (event, files) => {
  const other = Array.from(files ?? []).find(
    ({ type, size }) => (type && !type.startsWith("image/")) || size > mostBytes());
  if (!other) return false;
  event.preventDefault();
  event.stopPropagation();
  trigger("input", { name: other.name, size: other.size });
  return true;
};
document.addEventListener("change", (event) => {
  // Emptied, so that the same file may be chosen again.
  if (inField(event) && isRefused(event, event.target.files)) event.target.value = "";
}, true);
document.addEventListener("drop", (event) => {
  if (!inField(event) || !isRefused(event, event.dataTransfer.files)) return;
  event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
}, true);
document.addEventListener("paste", (event) => {
  const field = document.querySelector("#upload input[type=file]");
  if (!field || !event.clipboardData?.files.length) return;
  event.preventDefault();
  field.files = event.clipboardData.files;
  field.dispatchEvent(new Event("change", { bubbles: true }));
});
