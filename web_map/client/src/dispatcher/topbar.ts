/** The bar above everything: link, clock, counts that open their lists, and the page's own switches. */
import { html, nothing, svg, type TemplateResult } from "lit";
import { personButton } from "../shared/account";
import { pageLinks } from "../shared/desk";
import { clock, setLanguage, currentLanguage, LANGUAGES, t } from "../shared/i18n";
import { currentTheme, toggleTheme } from "../shared/theme";
import { alarms } from "./alerts";
import { toggleMute } from "./sound";
import { set, setAndFocus, store, ui } from "./state";
import { queue, serverNow, shown, urgency } from "./store";

export function topbar(logOut: () => void): TemplateResult {
  const now = serverNow(store);
  const marks = [...store.units.values()].map((unit) => shown(store, unit, now));
  const onDuty = marks.filter((s) => s.status !== "off_duty").length;
  const silent = marks.filter((s) => s.status !== "off_duty" && s.fresh !== "fresh").length;
  const needs = queue(store).filter((task) => urgency(task, now) <= 2).length;
  return html`<header class="topbar">
    <span class="brand"><img src="/static/icon.svg" alt="">Outrider</span>
    <span class="link ${store.link}" role="status"><i></i>${t(`link.${store.link}`)}</span>
    <time class="clock">${clock(new Date(now))}</time>
    <nav aria-label=${t("counts")}>
      <button class="tally" @click=${() => set({ groups: "all" })}><b>${onDuty}</b> ${t("count.on_duty")}</button>
      <button class="tally ${silent ? "warn" : ""}" @click=${() => set({ groups: "attention" })}><b>${silent}</b> ${t("count.silent")}</button>
      <button class="tally ${needs ? "urgent" : ""}" @click=${() => set({ panel: "queue", taskId: null })}><b>${needs}</b> ${t("count.needs")}</button>
    </nav>
    <span class="grow"></span>
    ${pageLinks("/")}
    <button class="button" aria-pressed=${ui.heat.on} @click=${() => set({ heat: { ...ui.heat, on: !ui.heat.on } })}>${t("heat.toggle")}</button>
    <button class="icon" title=${t(ui.muted ? "sound.on" : "sound.off")} aria-label=${t(ui.muted ? "sound.on" : "sound.off")} aria-pressed=${ui.muted} @click=${toggleMute}>${drawn(ui.muted ? BELL_OFF : BELL)}</button>
    <button class="icon" title=${t(currentTheme() === "night" ? "theme.day" : "theme.night")} aria-label=${t(currentTheme() === "night" ? "theme.day" : "theme.night")} @click=${toggleTheme}>${drawn(currentTheme() === "night" ? SUN : MOON)}</button>
    ${LANGUAGES.filter((language) => language !== currentLanguage()).map((language) => html`<button class="icon text" lang=${language} title=${t(`language.${language}`)} @click=${() => setLanguage(language)}>${language.toUpperCase()}</button>`)}
    <button class="icon text" title=${t("help.title")} aria-label=${t("help.title")} @click=${openHelp}>?</button>
    ${personButton()}
    <button class="button leave" title=${t("log_out")} @click=${logOut}>${drawn(OUT)}<span>${t("log_out")}</span></button></header>`;
}

const BELL = svg`<path d="M6 17V10a6 6 0 0 1 12 0v7l2 2H4zM10 21h4"></path>`;
const BELL_OFF = svg`<path d="M6 17V10a6 6 0 0 1 9-5M18 11v6l2 2H4M10 21h4M3 3l18 18"></path>`;
const OUT = svg`<path d="M10 4H5v16h5M9 12h11M16 8l4 4-4 4"></path>`;
const SUN = svg`<circle cx="12" cy="12" r="4"></circle><path d="M12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M5 19l2-2M17 7l2-2"></path>`;
const MOON = svg`<path d="M20 14A8 8 0 1 1 10 4a7 7 0 0 0 10 10z"></path>`;
const drawn = (path: TemplateResult | typeof BELL): TemplateResult => html`<svg viewBox="0 0 24 24" aria-hidden="true">${path}</svg>`;

/** The lost connection, above everything: since when the screen shows the past. */
export const linkBanner = (): TemplateResult | typeof nothing => store.link === "lost" ? html`<div class="banner lost" role="alert">
  <b>${t(store.crowded ? "link.crowded" : "link.lost_title")}</b> ${store.asOf ? t("link.data_from", { at: clock(store.asOf) }) : ""} ${t("link.writes_off")}</div>` : nothing;

/** What needs eyes at once: alarms, what can still be undone, what was just said. */
export function banners(undo: () => void): TemplateResult {
  const now = Date.now();
  const held = ui.held;
  return html`${alarms()}
    <div class="bars" aria-live="polite">
      ${held ? html`<div class="bar undo"><span>${held.text}</span><span class="age">${Math.max(0, Math.ceil((held.until - now) / 1000))} s</span><button class="button" id="undo" @click=${undo}>${t("undo")} <kbd>u</kbd></button></div>` : nothing}
      ${ui.toast && ui.toast.until > now ? html`<div class="bar ${ui.toast.urgent ? "urgent" : ""}">${ui.toast.text}</div>` : nothing}
      ${ui.picking ? html`<div class="bar">${t("task.pick_point")} <kbd>Esc</kbd></div>` : nothing}</div>`;
}

const KEYS: readonly [keys: string, key: string][] = [
  ["/", "search"], ["j k", "rows"], ["Enter", "open"], ["1 – 9", "assign"], ["s", "support"], ["c", "compose"],
  ["n", "next"], ["m", "map"], ["v", "heat"], ["t", "theme"], ["u", "undo"], ["y", "take"], ["x", "close_alarm"], ["h", "handover"],
  ["Esc", "back"], ["?", "help"],
];

export const openHelp = (): void => setAndFocus({ help: true }, ".help .button");

export function help(): TemplateResult | typeof nothing {
  if (!ui.help) return nothing;
  return html`<div class="shade" @click=${() => set({ help: false })}><section class="help" role="dialog" aria-modal="true" aria-label=${t("help.title")} @click=${(e: Event) => e.stopPropagation()}>
    <h2>${t("help.title")}</h2><dl>${KEYS.map(([keys, name]) => html`<div><dt>${keys.split(" ").map((key) => html`<kbd>${key}</kbd>`)}</dt><dd>${t(`help.${name}`)}</dd></div>`)}</dl>
    <button class="button primary" @click=${() => set({ help: false })}>${t("close")}</button></section></div>`;
}
