import { avatar } from "../lib/avatar.js";
import { field } from "../lib/dialog.js";
import { fill, h } from "../lib/dom.js";
import { t } from "../lib/i18n.js";
import { idOf, lastName, signInByName, signInByToken } from "../session.js";
import { preferenceButtons } from "./preferences.js";

const PROPOSED = ["Ann", "Ben", "Mei", "Omar"];

/** The first page: pick a name, or paste a token. Calls `done(session)`. */
export function signInView(done, note) {
  const problem = h("p.problem", { role: "alert", hidden: !note }, note);
  const name = h("input", { name: "name", required: true, maxlength: 64, autofocus: true, autocomplete: "nickname", dir: "auto", value: lastName(), testid: "signin-name", oninput: () => preview() });
  const face = h("span.face");
  const submit = h("button.primary.large", { type: "submit", testid: "signin-submit" }, t("signin.submit"));
  const chips = h("div.chips", null, PROPOSED.map((each) => h("button.chip", { type: "button", onclick: () => pick(each) }, avatar({ id: idOf(each), name: each }, "tiny"), each)));
  const byName = h("form.card-form", null, field(t("signin.name"), h("div", null, name)), chips, submit);
  byName.querySelector("label").htmlFor = name.id = "signin-name";
  const token = h("textarea", { name: "token", rows: 3, required: true, spellcheck: false, autocomplete: "off", testid: "signin-token" });
  const byToken = h("form.card-form", null, field(t("signin.token"), token, t("signin.tokenHint")), h("button.primary", { type: "submit", testid: "signin-token-submit" }, t("signin.submit")));
  const other = h("details.other", null, h("summary", null, t("signin.haveToken")), byToken);

  function preview() {
    fill(face, avatar({ id: idOf(name.value) || "?", name: name.value.trim() || "?" }, "huge"));
  }

  function pick(text) {
    name.value = text;
    preview();
    byName.requestSubmit();
  }

  function fail(text) {
    fill(problem, text).hidden = false;
  }

  byName.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!idOf(name.value)) return fail(t("signin.badName"));
    submit.disabled = true;
    try {
      const session = await signInByName(name.value);
      if (session) return done(session);
      byName.hidden = true;
      other.open = true;
      fail(t("signin.noNames"));
    } catch (error) {
      fail(error.code === "token" ? error.message : t("signin.unreachable"));
    } finally {
      submit.disabled = false;
    }
    return undefined;
  });

  byToken.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      done(signInByToken(token.value));
    } catch {
      fail(t("signin.badToken")); // whatever is wrong with a text that is no token, this is what there is to say
    }
  });

  preview();
  return h("main.signin", { id: "main", tabindex: "-1" }, h("div.card", null, face, h("h1", null, t("signin.title")), h("p.hint", null, t("signin.text")), problem, byName, other), h("div.preferences", null, preferenceButtons()));
}
