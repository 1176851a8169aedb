// Before the first paint: the theme that a person chose, or the one of their system.
const chosen = document.documentElement.dataset.theme;
const system = matchMedia("(prefers-color-scheme: dark)");
const apply = () => document.documentElement.classList.toggle("dark", chosen === "dark" || (chosen === "system" && system.matches));
apply();
system.addEventListener("change", () => { apply(); dispatchEvent(new Event("headrace:theme")); });
