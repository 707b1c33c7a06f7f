// The server's highlights are HTML: escaped text with <em> around what matched. Here they become ranges of the text
// itself, without any HTML parser: whatever else looks like a tag stays the text that it is.

const ENTITIES = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'", "&#39;": "'", "&amp;": "&" };

const unescape_ = (text) => text.replace(/&(?:lt|gt|quot|amp|#x27|#39);/g, (entity) => ENTITIES[entity]);

/** Take a highlight apart: `[{text, marked}]`. */
export function segments(highlight) {
  const parts = [];
  let marked = false;
  for (const piece of highlight.split(/(<\/?em>)/)) {
    if (piece === "<em>") marked = true;
    else if (piece === "</em>") marked = false;
    else if (piece) parts.push({ text: unescape_(piece), marked });
  }
  return parts;
}

/** Find the ranges of `text` that the highlights mark: `[[start, end]]` in order, without overlaps. */
export function ranges(text, highlights) {
  const found = [];
  for (const highlight of highlights) {
    const parts = segments(highlight);
    let at = text.indexOf(parts.map((part) => part.text).join(""));
    if (at < 0) continue;
    for (const part of parts) {
      if (part.marked) found.push([at, at + part.text.length]);
      at += part.text.length;
    }
  }
  found.sort((one, other) => one[0] - other[0]);
  return found.filter(([start], index) => index === 0 || start >= found[index - 1][1]);
}

/** Cut a text at its marked ranges: `[{text, marked}]`. */
export function pieces(text, highlights) {
  const parts = [];
  let at = 0;
  for (const [start, end] of ranges(text, highlights)) {
    if (start > at) parts.push({ text: text.slice(at, start), marked: false });
    parts.push({ text: text.slice(start, end), marked: true });
    at = end;
  }
  if (at < text.length) parts.push({ text: text.slice(at), marked: false });
  return parts;
}
