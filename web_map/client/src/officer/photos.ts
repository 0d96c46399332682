/** Photos and files of forms: taken in and kept as they are, with a small picture to show; removed before they are sent. */
import { newId } from "../shared/api";
import { current, refresh, store } from "./desk";
import { FRESH_MS } from "./place";
import type { Form, KeptFile } from "./model";
import { freshPlace } from "./position";
import { redraw, state, update } from "./store";
import { sha256Of } from "./uploads";

export const MAX_BYTES = 50 * 2 ** 20;
/** The longer side of the picture that is shown here; the original is what is sent. */
const COPY_PX = 1_024;
const COPY_QUALITY = 0.8;
/** Photos leave this much room to what officers write. */
const RESERVE_BYTES = 50 * 2 ** 20;

export type Trouble = "too_large" | "empty" | "no_room" | "twice" | "not_kept";

/** The files of a form, in the order in which they were added. */
export const filesOf = (formId: string): KeptFile[] => state.kept.files.filter((file) => file.form_id === formId)
  .sort((a, b) => a.added_at.localeCompare(b.added_at));

/** Bytes that are still free for photos, as far as the browser tells. */
export async function room(): Promise<number | null> {
  const { quota, usage } = (await navigator.storage?.estimate?.()) ?? {};
  return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage - RESERVE_BYTES);
}

async function copyOf(file: File): Promise<Uint8Array | null> {
  try {
    const whole = await createImageBitmap(file);
    const scale = Math.min(1, COPY_PX / Math.max(whole.width, whole.height));
    const canvas = new OffscreenCanvas(Math.max(1, Math.round(whole.width * scale)), Math.max(1, Math.round(whole.height * scale)));
    canvas.getContext("2d")?.drawImage(whole, 0, 0, canvas.width, canvas.height);
    whole.close();
    const small = await canvas.convertToBlob({ type: "image/jpeg", quality: COPY_QUALITY });
    return new Uint8Array(await small.arrayBuffer());
  } catch {
    return null; // no picture this browser can draw: it is shown by its name
  }
}

/** Keep a photo or file with a form; why not, when it cannot be. */
export async function addFile(form: Form, file: File): Promise<Trouble | null> {
  if (file.size > MAX_BYTES) return "too_large";
  if (!file.size) return "empty";
  const free = await room();
  if (free !== null && free < file.size) return "no_room";
  const content = new Uint8Array(await file.arrayBuffer());
  const sha256 = await sha256Of(content);
  if (filesOf(form.id).some((one) => one.sha256 === sha256)) return "twice";
  const copy = file.type.startsWith("image/") ? await copyOf(file) : null;
  const justTaken = Date.now() - file.lastModified < FRESH_MS;
  const kept: KeptFile = {
    id: newId(), form_id: form.id, kind: form.kind, task_id: form.task_id, name: file.name.slice(-200) || "photo", media_type: file.type,
    size: file.size, sha256, captured_at: new Date(file.lastModified).toISOString(), place: justTaken ? freshPlace() : null,
    added_at: new Date().toISOString(), copy: copy !== null, state: "draft", announced: false, received: 0,
  };
  try {
    await store().addFile(kept, content, copy);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    update({ storageFull: true });
    return "not_kept";
  }
  await refresh();
  return null;
}

export async function removeFile(file: KeptFile): Promise<void> {
  await store().dropFile(file.id);
  forget(file.id);
  await refresh();
}

/** Try a refused file once more. */
export async function sendFileAgain(file: KeptFile): Promise<void> {
  await store().changeFile(file.id, { state: "waiting", refused: undefined });
  await refresh();
  current()?.uploads.flush();
}

const urls = new Map<string, string | null>();

function forget(id: string): void {
  const url = urls.get(id);
  if (url) URL.revokeObjectURL(url);
  urls.delete(id);
}

/** The address of a file's small picture; null while it is read, or when there is none. The screen is drawn once it is there. */
export function pictureOf(file: KeptFile): string | null {
  const known = urls.get(file.id);
  if (known !== undefined || !file.copy) return known ?? null;
  urls.set(file.id, null);
  void current()?.local.copy(file.id).then((bytes) => {
    if (!bytes) return;
    urls.set(file.id, URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })));
    redraw();
  });
  return null;
}

/** Pictures of what is not kept any more, or of somebody else, leave the memory. */
export function forgetPictures(kept: readonly KeptFile[]): void {
  const shown = new Set(kept.filter((file) => file.state !== "sent").map((file) => file.id));
  for (const id of [...urls.keys()]) if (!shown.has(id)) forget(id);
}

/** How far the photos of a form have come: sent, of how many. */
export function progressOf(files: readonly KeptFile[]): { sent: number; all: number; part: number } {
  const size = files.reduce((sum, file) => sum + file.size, 0);
  const received = files.reduce((sum, file) => sum + file.received, 0);
  return { sent: files.filter((file) => file.state === "sent").length, all: files.length, part: size ? received / size : 0 };
}
