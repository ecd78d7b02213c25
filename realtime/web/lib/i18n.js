/** Texts, dates and numbers in the user's language. A language is one file in i18n/ and one line here. */
import en from "../i18n/en.js";
import zh from "../i18n/zh.js";

export const LANGUAGES = { en, zh };

const CHOSEN = "galaxy-live.language";

function preferred() {
  const wanted = [localStorage.getItem(CHOSEN), ...navigator.languages];
  return wanted.map((tag) => tag?.split("-")[0]).find((tag) => tag in LANGUAGES) ?? "en";
}

export const language = preferred();
/** The region of the reader where the browser knows it: en-GB writes dates unlike en-US. */
const locale = navigator.languages.find((tag) => tag.split("-")[0] === language) ?? { zh: "zh-CN" }[language] ?? language;
const plurals = new Intl.PluralRules(language);

/** Remembers the choice; the page is loaded anew to show it. */
export function chooseLanguage(tag) {
  localStorage.setItem(CHOSEN, tag);
  location.reload();
}

/**
 * The text of a key. `{name}` is filled in, isolated (U+2068, U+2069), so that a name in another writing direction does
 * not turn the sentence round. A text may be `{one, other}`: `count` chooses by the language's plural rules.
 */
export function t(key, values = {}) {
  const texts = LANGUAGES[language];
  let text = texts[key] ?? en[key] ?? key;
  if (typeof text === "object") text = text[plurals.select(values.count)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (_, name) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : `\u2068${value}\u2069`;
  });
}

const formats = new Map();
function format(options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(locale, options));
  return formats.get(key);
}

export const number = (value) => new Intl.NumberFormat(locale).format(value);
export const timeOfDay = (at) => format({ hour: "2-digit", minute: "2-digit" }).format(at);
export const fullTime = (at) => format({ dateStyle: "full", timeStyle: "short" }).format(at);

/** The day, as a heading: today, yesterday, or the date. */
export function day(at) {
  const midnight = new Date().setHours(0, 0, 0, 0);
  const days = Math.round((new Date(at).setHours(0, 0, 0, 0) - midnight) / 86_400_000);
  if (days === 0 || days === -1) {
    const words = new Intl.RelativeTimeFormat(locale, { numeric: "auto" }).format(days, "day");
    return words.charAt(0).toLocaleUpperCase(locale) + words.slice(1);
  }
  const sameYear = new Date(at).getFullYear() === new Date().getFullYear();
  return format({ weekday: "long", day: "numeric", month: "long", ...(sameYear ? {} : { year: "numeric" }) }).format(at);
}

/** As short as it can be: the time today, else the date. */
export function shortTime(at) {
  const today = new Date(at).toDateString() === new Date().toDateString();
  const year = new Date(at).getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return today ? timeOfDay(at) : `${format({ day: "numeric", month: "short", ...year }).format(at)}, ${timeOfDay(at)}`;
}

/** A duration in its largest fitting unit: "10 minutes". */
export function duration(seconds) {
  const [unit, size] = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]].find(([, s]) => seconds >= s) ?? ["second", 1];
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long" }).format(Math.round(seconds / size));
}

/** A file's size in its largest fitting unit: "1.4 GB". */
export function fileSize(bytes) {
  const [unit, size] = [["gigabyte", 1e9], ["megabyte", 1e6]].find(([, s]) => bytes >= s) ?? ["kilobyte", 1e3];
  return new Intl.NumberFormat(locale, { style: "unit", unit, maximumSignificantDigits: 3 }).format(bytes / size);
}

/** A countdown: 0:07, 12:30, 3:00:00. */
export function clock(ms) {
  const total = Math.max(0, Math.ceil(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
  const pad = (value) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${pad(minutes)}:${pad(seconds)}` : `${minutes}:${pad(seconds)}`;
}

/** A message for an error: the app's own words for the codes it knows, else the server's. */
export function errorText(error) {
  const known = `error.${error.code}`;
  if (error.code === "forbidden" && error.field && `error.field.${error.field}` in en) return t(`error.field.${error.field}`);
  if (error.code === "rate_limited" || error.code === "slow_mode") return t(known, { time: clock(error.retry_after_ms ?? 1000) });
  if (["blocked", "bounced", "bad_request"].includes(error.code) && error.message) return t(known, { reason: error.message });
  return known in en ? t(known) : error.message || String(error);
}
