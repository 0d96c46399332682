/** Pairing a tracker app, which reports also while it is out of sight: by a code to be photographed, or by hand. */
import { html, nothing, type TemplateResult } from "lit";
import { api, ApiError, newId } from "../../shared/api";
import type { Phone, PhoneOut } from "../../shared/contract";
import { dayTime, t } from "../../shared/i18n";
import { refusalText } from "../../shared/refusal";
import { renewed } from "../../shared/session";
import { readSheet } from "../duty";
import { isOnline, redraw, state } from "../store";
import { backBar } from "./parts";

type App = PhoneOut["app"];
const APPS: readonly App[] = ["traccar", "owntracks"];
const NAMES: Record<App, string> = { traccar: "Traccar Client", owntracks: "OwnTracks" };
const NAME_OF: Record<string, string> = { osmand: NAMES.traccar, owntracks: NAMES.owntracks };

let paired: PhoneOut | null = null;
let fault = "";

/** Nothing of a key stays on the screen once it is left. */
export function closePhone(): void {
  paired = null;
  fault = "";
}

async function ask(work: () => Promise<void>): Promise<void> {
  fault = "";
  try {
    await renewed(work);
    await readSheet();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fault = refusalText(error);
  }
  redraw();
}

const pair = (app: App): Promise<void> => ask(async () => {
  paired = await api.post<PhoneOut>("/phones", { id: newId(), app });
});
const unpair = (phone: Phone): Promise<void> => ask(() => api.post(`/phones/${phone.id}/revoke`));

function choice(): TemplateResult {
  return html`<p>${t("officer.phone.text")}</p><div class="stack">${APPS.map((app) =>
    html`<button class="choice" ?disabled=${!isOnline()} @click=${() => pair(app)}>${NAMES[app]}<small>${t(`officer.phone.${app}`)}</small></button>`)}</div>
    ${isOnline() ? nothing : html`<p class="muted">${t("officer.phone.offline")}</p>`}`;
}

function steps(made: PhoneOut): TemplateResult {
  const picture = `data:image/svg+xml,${encodeURIComponent(made.code_svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"'))}`;
  const all = [1, 2, 3, 4].map((n) => html`<li>${t(`officer.phone.${made.app}.${n}`)}</li>`);
  return html`<ol class="numbered">${all}</ol>
    <img class="qr" src=${picture} alt=${t("officer.phone.code", { app: NAMES[made.app] })}>
    ${made.app === "owntracks" ? html`<a class="big" href=${made.code}>${t("officer.phone.same_device")}</a>` : nothing}
    <details><summary>${t("officer.phone.by_hand")}</summary><dl class="by-hand">
      <div><dt>${t("officer.phone.address")}</dt><dd>${made.server_url}</dd></div>
      <div><dt>${t(`officer.phone.${made.app}.key`)}</dt><dd>${made.key}</dd></div></dl></details>
    <p class="muted">${t("officer.phone.once")}</p>`;
}

const row = (phone: Phone): TemplateResult => html`<li class="item"><b>${NAME_OF[phone.protocol] ?? phone.protocol}</b>
  <span>${phone.seen_at ? t("officer.phone.seen", { time: dayTime(phone.seen_at) }) : t("officer.phone.unseen")}</span>
  <button class="big" ?disabled=${!isOnline()} @click=${() => unpair(phone)}>${t("officer.phone.unpair")}</button></li>`;

export function phoneView(): TemplateResult {
  const phones = state.sheet?.phones ?? [];
  return html`<div class="page">${backBar("#/duty", t("officer.phone.title"))}
    <div role="alert">${fault ? html`<p class="fault">${fault}</p>` : nothing}</div>${paired ? steps(paired) : choice()}
    ${phones.length ? html`<section><h2>${t("officer.phone.paired")}</h2><ul>${phones.map(row)}</ul></section>` : nothing}
    <p class="muted">${t("officer.phone.duty")}</p></div>`;
}
