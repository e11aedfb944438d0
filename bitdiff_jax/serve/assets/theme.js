// Dark or light, as it was last chosen; without a choice as the visitor's system has it.
const name = "bitdiff-theme";
const chosen = window.localStorage.getItem(name);
if (chosen) document.body.classList.toggle("dark", chosen === "dark");
element.querySelector("button").addEventListener("click", () => {
  const dark = document.body.classList.toggle("dark");
  window.localStorage.setItem(name, dark ? "dark" : "light");
});
