/** The photos and files of a form: taken in one tap, shown with their size and how far they have come, removed before sending. */
import { html, nothing, type TemplateResult } from "lit";
import { number, t } from "../../shared/i18n";
import { refusedFor } from "../../shared/refusal";
import type { Form, KeptFile } from "../model";
import { addFile, filesOf, pictureOf, progressOf, removeFile, room, sendFileAgain, type Trouble } from "../photos";
import { redraw } from "../store";
import { icon } from "./parts";

const TYPES = "image/jpeg,image/png,image/webp,image/heic,application/pdf,video/mp4";
const MIB = 2 ** 20;
/** Below this much room it is told. */
const LOW_BYTES = 200 * MIB;

let keeping = 0;
let troubles: { name: string; trouble: Trouble }[] = [];
let roomLeft: number | null = null;
let roomAsked = false;
let leaving: string | null = null;

/** "2.4 MB" */
export const sizeText = (bytes: number): string => bytes >= 1_024 * MIB ? `${number(bytes / MIB / 1_024, 1)} GB`
  : bytes >= MIB ? `${number(bytes / MIB, 1)} MB` : `${number(Math.max(1, Math.round(bytes / 1024)))} kB`;

async function look(): Promise<void> {
  roomLeft = await room();
  redraw();
}

async function take(form: Form, event: Event): Promise<void> {
  const input = event.target as HTMLInputElement;
  const files = [...(input.files ?? [])];
  input.value = "";
  troubles = [];
  keeping += files.length;
  redraw();
  for (const file of files) {
    const trouble = await addFile(form, file).catch((error: unknown) => {
      reportError(error);
      return "not_kept" as const;
    });
    if (trouble) troubles = [...troubles, { name: file.name, trouble }];
    keeping--;
    redraw();
  }
  await look();
}

const picker = (form: Form, name: "camera" | "file"): TemplateResult => html`<label class="choice picker">${icon(name)}${t(`officer.photos.${name}`)}
  ${name === "camera"
    ? html`<input type="file" accept="image/*" capture="environment" data-pick="camera" @change=${(event: Event) => take(form, event)}>`
    : html`<input type="file" accept=${TYPES} multiple data-pick="file" @change=${(event: Event) => take(form, event)}>`}</label>`;

function state(file: KeptFile): string {
  if (file.state === "draft") return t("officer.photos.kept");
  if (file.state === "sent") return t("officer.photos.sent");
  return file.received ? t("officer.photos.part", { n: Math.floor((100 * file.received) / file.size) }) : t("officer.photos.waiting");
}

/** A photo as it is shown everywhere: the small picture, or what kind of file it is. */
export function thumbnail(file: KeptFile): TemplateResult {
  const url = pictureOf(file);
  return url ? html`<img src=${url} alt="">` : html`<span class="file-mark">${icon(file.state === "sent" ? "check" : "file")}</span>`;
}

const removal = (file: KeptFile): TemplateResult => leaving === file.id
  ? html`<button type="button" class="big urgent" @click=${() => removeFile(file)}>${t("officer.photos.remove.yes")}</button>`
  : html`<button type="button" class="big" aria-label=${t("officer.photos.remove.of", { name: file.name })} @click=${() => ask(file.id)}>${t("officer.photos.remove")}</button>`;

function ask(id: string): void {
  leaving = id;
  redraw();
}

const row = (file: KeptFile, buttons: TemplateResult | typeof nothing): TemplateResult => html`<li class="photo" data-state=${file.state}>${thumbnail(file)}
  <div><b>${file.name}</b><small>${sizeText(file.size)} · ${state(file)}</small>
    ${file.state === "waiting" && file.received ? html`<progress max=${file.size} value=${file.received} aria-label=${file.name}></progress>` : nothing}
    ${file.state === "refused" && file.refused ? html`<p class="fault">${t("officer.outbox.refused")} ${refusedFor(file.refused.code, file.refused.detail)}</p>` : nothing}
    ${buttons}</div></li>`;

/** The step of a form in which photos are taken. */
export function photosStep(form: Form): TemplateResult {
  if (!roomAsked) {
    roomAsked = true;
    void look();
  }
  const files = filesOf(form.id);
  const told = roomLeft !== null && roomLeft < LOW_BYTES;
  return html`<div class="pair">${picker(form, "camera")}${picker(form, "file")}</div>
    ${troubles.map(({ name, trouble }) => html`<p class="fault" role="alert"><b>${name}</b>: ${t(`officer.photos.${trouble}`)}</p>`)}
    ${keeping ? html`<p role="status" class="unsent">${t("officer.photos.keeping", { n: keeping })}</p>` : nothing}
    ${files.length ? html`<ul class="photos">${files.map((file) => row(file, removal(file)))}</ul>`
      : html`<p class="card empty">${t("officer.photos.none")}</p>`}
    <p class=${told ? "doubt" : "muted"}>${t("officer.photos.later")}${roomLeft === null ? nothing
      : ` ${t("officer.photos.room", { size: sizeText(roomLeft) })}`}</p>`;
}

/** The photos of a form on their way: "2 of 5 photos", and each that has begun or was refused. */
export function photosUnderWay(files: readonly KeptFile[]): TemplateResult | typeof nothing {
  if (!files.length) return nothing;
  const { sent, all, part } = progressOf(files);
  const named = files.filter((file) => file.state === "refused" || (file.state === "waiting" && file.received > 0));
  return html`<div class="under-way"><p><b>${t("officer.photos.progress", { n: sent, all })}</b></p>
    <progress max="1" value=${part} aria-label=${t("officer.photos.progress", { n: sent, all })}></progress>
    ${named.length ? html`<ul class="photos">${named.map((file) => row(file, file.state === "refused"
      ? html`<div class="pair"><button type="button" class="big" @click=${() => sendFileAgain(file)}>${t("officer.outbox.retry")}</button>${removal(file)}</div>`
      : nothing))}</ul>` : nothing}</div>`;
}
