// Uploads: files dropped or chosen go to a collection, and the job that indexes them is watched.

import * as api from "./api.js";
import { h, icon, replace } from "./dom.js";
import { bytes, number, t } from "./i18n.js";
import { jobCard, watch } from "./job.js";
import { announce, failure } from "./notices.js";

/** What was uploaded, kept while other views are shown: `{files, collection, share, error, job, trouble, stop}`. */
const memory = { uploads: [], collection: "", redraw: null };

/** Make the panel: `{element, update, choose(collection)}`. */
export function uploadPanel(context) {
  const names = h("datalist", { id: "collection-names" });
  const name = h("input", { class: "field", id: "upload-collection", list: "collection-names", value: memory.collection || context.state.collection, maxlength: "100", spellcheck: "false", autocapitalize: "none", autocomplete: "off", required: true,
    "aria-describedby": "upload-hint", oninput: (event) => { memory.collection = event.target.value; } });
  const wrong = h("p", { class: "field-error", role: "alert" });
  const running = h("div", { class: "uploads" });
  const draw = () => replace(running, memory.uploads.map((one) => drawUpload(context, one)));
  memory.redraw = draw;  // of the panel that is on the screen now
  const take = (files) => {
    const collection = name.value.trim();
    wrong.textContent = collection ? "" : t("upload.name_first");
    if (!collection) return name.focus();
    if (files.length) start(context, collection, files);
    return null;
  };
  const chooser = h("input", { type: "file", id: "upload-files", multiple: true, class: "visually-hidden", onchange: (event) => {
    take([...event.target.files]);
    event.target.value = "";
  } });
  const zone = dropZone(h("label", { class: "drop", for: "upload-files" }, icon("upload"), h("strong", {}, t("upload.drop")), h("span", { class: "quiet" }, t("upload.formats"))), take);
  const element = h("section", { class: "upload", "aria-label": t("upload.title") },
    h("div", { class: "upload-to" }, h("label", { class: "labelled" }, h("span", {}, t("upload.into")), name), names,
      h("p", { class: "quiet small", id: "upload-hint" }, t("upload.hint")), wrong),
    chooser, zone, running);
  const update = () => {
    replace(names, (context.collections.list ?? []).map((one) => h("option", { value: one.name })));
    if (!name.value) name.value = context.state.collection;
    draw();
  };
  return { element, update, choose: (collection) => {
    name.value = memory.collection = collection;
    element.scrollIntoView({ block: "start" });
    chooser.focus();
  } };
}

/** Let files be dropped on an element. */
export function dropZone(element, take) {
  const over = (on) => (event) => {
    event.preventDefault();
    element.classList.toggle("drop-over", on);
  };
  element.addEventListener("dragenter", over(true));
  element.addEventListener("dragover", over(true));
  element.addEventListener("dragleave", over(false));
  element.addEventListener("drop", (event) => {
    over(false)(event);
    take([...event.dataTransfer.files]);
  });
  return element;
}

async function start(context, collection, files) {
  const one = { collection, files, share: 0, error: null, job: null, trouble: null, stop: new AbortController() };
  memory.uploads.unshift(one);
  memory.redraw();
  try {
    one.job = await api.upload(collection, files, (share) => { one.share = share; memory.redraw(); }, one.stop.signal);
  } catch (error) {
    if (error.name === "AbortError") memory.uploads = memory.uploads.filter((other) => other !== one);
    else one.error = error;
    memory.redraw();
    return;
  }
  await follow(context, one);
}

async function follow(context, one) {
  await watch(one.job, (job, trouble) => { one.job = job; one.trouble = trouble; memory.redraw(); }, one.stop.signal);
  announce(`${t(`job.state.${one.job.state}`)}: ${one.files.map((file) => file.name).join(", ")}`);
  await context.loadCollections();
}

function drawUpload(context, one) {
  if (one.error) return failure(context, one.error, () => {
    memory.uploads = memory.uploads.filter((other) => other !== one);
    start(context, one.collection, one.files);
  });
  if (one.job) return h("div", {}, one.trouble ? failure(context, one.trouble) : null, jobCard(context, one.job, (job) => {
    const retried = job.id !== one.job.id;
    one.job = job;
    if (retried) follow(context, one);
    else memory.redraw();
  }));
  const size = one.files.reduce((total, file) => total + file.size, 0);
  const label = t("upload.sending", { count: number(one.files.length), size: bytes(size), collection: one.collection });
  return h("div", { class: "job" }, h("p", {}, label),
    h("progress", { class: "job-progress", max: "1", value: one.share, "aria-label": label }),
    h("p", {}, h("button", { type: "button", class: "button button-quiet", onclick: () => one.stop.abort() }, t("upload.abort"))));
}
