/** What every page begins with: the theme, the language of the document, the link past the navigation. */
import { language, t } from "./i18n.js";
import { applyTheme } from "./theme.js";

export function start() {
  applyTheme();
  document.documentElement.lang = language === "zh" ? "zh-CN" : language;
  const skip = document.getElementById("skip");
  skip.textContent = t("skip");
  skip.addEventListener("click", (event) => {
    event.preventDefault(); // the address is the app's own; only the focus is meant to move
    (document.querySelector(".composer textarea") ?? document.getElementById("main")).focus();
  });
}
