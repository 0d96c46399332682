/** What is asked above a page of a desk, in a dialog; and a secret that is shown this once. */
import { html, nothing, type TemplateResult } from "lit";
import { t } from "./i18n";
import { refusalText } from "./refusal";
import { renewed } from "./session";

/** A sheet that sends something: whether it is under way, and why the last try was refused. */
export interface Asking {
  busy: boolean;
  fault: string;
}

/** The dialog around what is asked. `closed` hears of its end; while `held` Escape does not end it. */
export function sheetAround(content: TemplateResult, closed: () => void, held: () => boolean = () => false): TemplateResult {
  const cancel = (event: Event): void => { if (held()) event.preventDefault(); };
  return html`<dialog class="sheet" aria-labelledby="sheet-title" @close=${closed} @cancel=${cancel}>${content}</dialog>`;
}

/** Let the browser open what was drawn, with the focus in it. */
export function openSheet(root: HTMLElement): void {
  const drawn = root.querySelector("dialog");
  if (drawn && !drawn.open) drawn.showModal();
}

export const closeSheet = (event: Event): void => (event.currentTarget as HTMLElement).closest("dialog")?.close();

/** Why it was refused, what sends it, and the way out, where the focus is when it cannot be undone. */
export function sheetFoot(open: Asking, action: string, danger = false, out = t("sheet.cancel")): TemplateResult {
  return html`<div role="alert">${open.fault ? html`<p class="fault">${open.fault}</p>` : nothing}</div>
    <p class="buttons"><button class="button ${danger ? "danger" : "primary"}" ?disabled=${open.busy}>${action}</button>
      <button type="button" class="button" ?autofocus=${danger} @click=${closeSheet}>${out}</button></p>`;
}

/** Why a field was refused, below it; the field names it as its description. */
export const faultAt = (faults: Record<string, string>, name: string): TemplateResult =>
  html`<p class="fault at" id=${`fault-${name}`} role="alert">${faults[name] ?? ""}</p>`;

/** What was entered into the form that is sent; the browser itself sends nothing. */
export function entered(event: SubmitEvent): FormData {
  event.preventDefault();
  return new FormData(event.target as HTMLFormElement);
}

/** Do what a sheet asks for, then `done`; it stays, with the reason, when the server refuses. */
export async function attempt<Answer>(
  sheet: Asking, redraw: () => void, work: () => Promise<Answer>, done: (answer: Answer) => Promise<unknown>,
  reason: (error: unknown) => string | Promise<string> = refusalText,
): Promise<void> {
  if (sheet.busy) return;
  [sheet.busy, sheet.fault] = [true, ""];
  redraw();
  try {
    await done(await renewed(work));
  } catch (error) {
    [sheet.busy, sheet.fault] = [false, await reason(error)];
    redraw();
  }
}

/** A secret in a field of its own with a button that copies it; `open.copied` says that it was. */
export function secretField(name: string, label: string, secret: string, open: { copied: boolean }, redraw: () => void): TemplateResult {
  const copy = async (event: Event): Promise<void> => {
    const field = (event.currentTarget as HTMLElement).closest("dialog")?.querySelector("input");
    field?.select();
    // The clipboard is there in secure contexts only; a closed network may be plain HTTP.
    const written = await navigator.clipboard?.writeText(secret).then(() => true, () => false);
    open.copied = written || document.execCommand("copy");
    redraw();
  };
  return html`<div class="secret"><label class="field grow"><span class="hidden-label">${label}</span><input name=${name} readonly autofocus .value=${secret} @focus=${(e: Event) => (e.target as HTMLInputElement).select()}></label>
      <button class="button primary" @click=${(event: Event) => void copy(event)}>${t(open.copied ? "sheet.copied" : "sheet.copy")}</button></div>
    <p role="status" class="muted">${open.copied ? t("sheet.copied_lead") : ""}</p>`;
}
