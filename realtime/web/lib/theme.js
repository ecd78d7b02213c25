/** Light, dark, or as the system has it. */
const CHOSEN = "galaxy-live.theme";
export const THEMES = ["system", "light", "dark"];

export const theme = () => localStorage.getItem(CHOSEN) ?? "system";

export function chooseTheme(name) {
  localStorage.setItem(CHOSEN, name);
  applyTheme();
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}
