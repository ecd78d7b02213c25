import { h } from "../lib/dom.js";
import { LANGUAGES, chooseLanguage, language, t } from "../lib/i18n.js";
import { icon } from "../lib/icons.js";
import { menu } from "../lib/popover.js";
import { THEMES, chooseTheme, theme } from "../lib/theme.js";

export const themeItems = () => THEMES.map((name) => ({ label: t(`theme.${name}`), checked: theme() === name, testid: `theme-${name}`, run: () => chooseTheme(name) }));

export const languageItems = () => Object.entries(LANGUAGES).map(([tag, texts]) => ({ label: texts.language, checked: tag === language, testid: `language-${tag}`, run: () => chooseLanguage(tag) }));

/** Two buttons, each with a menu. */
export function preferenceButtons() {
  const button = (name, mark, items) => h("button.icon-button", { type: "button", testid: `choose-${name}`, title: t(`choose.${name}`), "aria-label": t(`choose.${name}`), "aria-haspopup": "menu", onclick: (event) => menu(event.currentTarget, items()) }, icon(mark));
  return [button("theme", "theme", themeItems), button("language", "globe", languageItems)];
}
