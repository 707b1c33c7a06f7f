// What the browser remembers: choices of taste for good, the API key for this tab alone.

/** Read a remembered choice; null where there is none, or where the browser forbids storage. */
export function recall(name) {
  try {
    return localStorage.getItem(`bothways.${name}`);
  } catch {
    return null;
  }
}

/** Remember a choice, where the browser allows it. */
export function remember(name, value) {
  try {
    localStorage.setItem(`bothways.${name}`, value);
  } catch {
    // The choice holds until the page is closed.
  }
}

let keyWithoutStorage = "";

/** The API key of this tab, or "". It is kept in sessionStorage only: closed with the tab, never sent elsewhere. */
export function apiKey() {
  try {
    return sessionStorage.getItem("bothways.key") ?? "";
  } catch {
    return keyWithoutStorage;
  }
}

/** Keep an API key for this tab; "" forgets it. */
export function setApiKey(key) {
  try {
    if (key) sessionStorage.setItem("bothways.key", key);
    else sessionStorage.removeItem("bothways.key");
  } catch {
    keyWithoutStorage = key;
  }
}
