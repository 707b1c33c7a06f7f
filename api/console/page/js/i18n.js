// Words. Every message stands in locales/zh.json and locales/en.json under the same key; a test holds them together.

import { remember } from "./store.js";

export const LANGUAGES = ["zh", "en"];

let messages = {};

/** The language of the page, "zh" or "en". */
export const language = () => document.documentElement.lang;

/** Load a language's messages and make it the page's. */
export async function useLanguage(name) {
  const chosen = LANGUAGES.includes(name) ? name : "en";
  const answer = await fetch(new URL(`../locales/${chosen}.json`, import.meta.url));
  if (!answer.ok) throw new Error(`The messages of the language ${chosen} are not there (${answer.status}).`);
  messages = await answer.json();
  document.documentElement.lang = chosen;
}

/** Remember the language for the next visit. */
export const rememberLanguage = (name) => remember("language", name);

/** Say a message, with `{name}` in it replaced; a key without a message is shown as it is, so that it is noticed. */
export function t(key, values = {}) {
  const message = messages[key];
  if (message === undefined) return key;
  return message.replace(/\{(\w+)\}/g, (all, name) => (name in values ? String(values[name]) : all));
}

/** Whether there is a message. */
export const has = (key) => key in messages;

const locale = () => (language() === "zh" ? "zh-CN" : "en-GB");

/** A number as people write it. */
export const number = (value, digits = 0) =>
  new Intl.NumberFormat(locale(), { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);

/** A time span in milliseconds. */
export const milliseconds = (value) =>
  value >= 10_000 ? `${number(value / 1000, 1)} s` : `${number(value, value < 10 ? 1 : 0)} ms`;

/** A moment, given in ISO 8601. */
export const moment = (iso) =>
  iso ? new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(new Date(iso)) : "";

/** A file's size in bytes. */
export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, size)) / 3));
  return `${number(size / 1000 ** step, step ? 1 : 0)} ${units[step]}`;
}
