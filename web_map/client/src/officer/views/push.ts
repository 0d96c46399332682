/** The switch for being told while the page is closed, and how that stands. */
import { html, nothing, type TemplateResult } from "lit";
import { t } from "../../shared/i18n";
import { setPush } from "../push";
import { redraw, state } from "../store";

let busy = false;

async function turn(on: boolean): Promise<void> {
  if (busy) return;
  busy = true;
  redraw();
  await setPush(on).finally(() => {
    busy = false;
    redraw();
  });
}

export function pushCard(): TemplateResult {
  const { push } = state;
  const on = push === "on";
  const can = on || push === "off";
  return html`<section class="card" id="push"><h2>${t("officer.push.title")}</h2>
    <button class="big" role="switch" aria-checked=${on} aria-describedby="push-state" ?disabled=${!can || busy} @click=${() => turn(!on)}>
      <i class="switch" aria-hidden="true"></i>${t("officer.push.switch")}</button>
    <p class=${push === "denied" ? "fault" : "muted"} id="push-state" role="status">${t(`officer.push.${push ?? "unknown"}`)}</p>
    ${push === "needs_pin" ? html`<a class="big" href="#/pin">${t("officer.pin.use.yes")}</a>` : nothing}</section>`;
}
