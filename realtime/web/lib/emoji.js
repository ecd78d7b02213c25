import { h, roving } from "./dom.js";
import { popover } from "./popover.js";
import { t } from "./i18n.js";

/** First the ones people use most as reactions, then the rest by kind. */
const EMOJI =
  "👍 ❤️ 😂 🎉 😮 😢 🙏 🔥 👏 ✅ 👀 💯 🚀 🤔 👎 ❌ " +
  "😀 😄 😁 😅 🤣 🙂 😉 😊 😍 🥰 😘 😋 😜 🤪 🤗 🤭 🤫 😐 😏 🙄 😬 😌 😴 🤯 🥳 😎 🤓 😕 😟 😳 🥺 😭 😤 😡 🤬 😱 🤝 🫡 🫶 " +
  "👋 👌 ✌️ 🤞 🤘 👈 👉 👆 👇 ✊ 👊 🙌 💪 🧠 🫠 💀 👻 🤖 🐱 🐶 🦊 🐼 🐸 🦄 🐝 🌱 🌸 🌻 🍀 🌈 ☀️ 🌙 ⭐ ⚡ ❄️ 🌊 " +
  "🍎 🍕 🍔 🍜 🍣 🍰 ☕ 🍵 🍺 🥂 ⚽ 🏀 🎮 🎲 🎸 🎧 🎬 📷 🎁 🏆 🥇 🎯 💡 📌 📎 ✏️ 📅 🔒 🔑 🔔 💬 ❓ ❗ ⏰ ⏳ 🧡 💛 💚 💙 💜 🖤 💔";

/** Opens the picker beside `anchor`; calls `choose` with the emoji. */
export function pickEmoji(anchor, choose) {
  const grid = h("div.emoji-grid", { role: "group", "aria-label": t("emoji.pick"), testid: "emoji-picker" });
  const { close } = popover(anchor, grid);
  for (const emoji of EMOJI.split(" ")) {
    const pick = () => {
      close();
      choose(emoji);
    };
    grid.append(h("button.emoji", { type: "button", onclick: pick, "aria-label": emoji }, emoji));
  }
  roving(grid, "button", { horizontal: true });
  grid.firstChild.focus();
}

export const QUICK = ["👍", "❤️", "😂"];
