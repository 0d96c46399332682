/** The alarm of an officer in danger: held for two seconds, so that it is neither missed nor raised by a pocket. */
import { html, nothing, type TemplateResult } from "lit";
import { hourMinute, t } from "../../shared/i18n";
import { isOnline, redraw, state } from "../store";
import { raisePanic } from "../talk";
import { backBar } from "./parts";

const HOLD_MS = 2_000;
const RECENT_MS = 60 * 60_000;
let timer = 0;
let other = false;

const held = (): boolean => timer !== 0;

function press(event: Event): void {
  if (event instanceof KeyboardEvent) {
    if (event.repeat || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
  }
  if (held()) return;
  timer = window.setTimeout(() => {
    timer = 0;
    void raisePanic();
  }, HOLD_MS);
  redraw();
}

function release(): void {
  clearTimeout(timer);
  timer = 0;
  redraw();
}

/** The alarm that was raised here within the hour: what stands of it. */
export function raised(): { waiting: boolean; at: string; number: number | null } | null {
  const entry = state.kept.outbox.find(({ about }) => about.kind === "panic");
  if (entry) return { waiting: true, at: entry.made_at, number: null };
  const { panic } = state;
  return panic && Date.now() - Date.parse(panic.raised_at) < RECENT_MS ? { waiting: false, at: panic.raised_at, number: panic.number } : null;
}

function standing(): TemplateResult | typeof nothing {
  const now = raised();
  if (!now) return nothing;
  if (!now.waiting) {
    return html`<section class="card good-news" role="status"><h2>${t("officer.panic.raised", { time: hourMinute(now.at), number: now.number ?? 0 })}</h2></section>`;
  }
  return html`<section class="late conflict" role="alert"><p><b>${t(isOnline() ? "officer.panic.sending" : "officer.panic.not_sent")}</b>
    ${isOnline() ? nothing : t("officer.panic.radio")}</p></section>`;
}

const place = (): string => {
  if (state.placeState === "known" && state.place) return t("officer.panic.place", { n: state.place.accuracy_m ?? 0 });
  return t(state.placeState === "asking" ? "officer.place.asking" : "officer.panic.no_place");
};

export function panicView(): TemplateResult {
  const swap = (): void => {
    other = !other;
    redraw();
  };
  const send = (): void => {
    other = false;
    void raisePanic();
  };
  return html`<div class="page one">${backBar("#/", t("officer.panic"))}${standing()}
    <p>${t("officer.panic.text")}</p><p class="muted">${place()}</p>
    <button class="hold ${held() ? "held" : ""}" @pointerdown=${press} @pointerup=${release} @pointerleave=${release} @pointercancel=${release}
      @keydown=${press} @keyup=${release} @contextmenu=${(event: Event) => event.preventDefault()}>${t("officer.panic.hold")}</button>
    ${other ? html`<button class="next urgent" @click=${send}>${t("officer.panic.send")}</button>
        <button class="big" @click=${swap}>${t("officer.panic.keep")}</button>`
      : html`<button class="big quiet" @click=${swap}>${t("officer.panic.other_way")}</button>`}</div>`;
}
