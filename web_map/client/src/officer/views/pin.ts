/** The PIN: entered on a pad for gloves to open the page, chosen once for this device. */
import { html, nothing, type TemplateResult } from "lit";
import { ApiError } from "../../shared/api";
import { t } from "../../shared/i18n";
import { languageButtons } from "../../shared/login";
import { refusalText } from "../../shared/refusal";
import { currentTheme, toggleTheme } from "../../shared/theme";
import type { Refused } from "../enrolment";
import { choose, choosePin, enterByPin, usePassword } from "../presence";
import { go } from "../routes";
import { redraw, state, waiting } from "../store";
import { backBar, icon } from "./parts";

const SHORTEST = 6;
const LONGEST = 12;

let digits = "";
let fault = "";
let busy = false;
/** The PIN that is to be entered once more. */
let first = "";
/** It was: to be set as soon as the present one is known. */
let next = "";
/** What this tablet is to be called in the list of devices; null = what is proposed. */
let called: string | null = null;

function set(value: string): void {
  digits = value.replace(/\D/g, "").slice(0, LONGEST);
  fault = "";
  redraw();
}

function clear(said = ""): void {
  [digits, fault, busy] = ["", said, false];
  redraw();
}

/** The pad, and a field that a keyboard writes into; `done` gets the digits. */
function pad(label: string, action: string, done: (pin: string) => Promise<void>): TemplateResult {
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (busy || !digits) return;
    busy = true;
    redraw();
    await done(digits).catch((error: unknown) => clear(error instanceof ApiError ? refusalText(error) : String(error)));
  };
  const key = (digit: string): TemplateResult =>
    html`<button type="button" class="key" ?disabled=${busy} @click=${() => set(digits + digit)}>${digit}</button>`;
  return html`<form class="pin-form" @submit=${submit}>
    <label class="field"><span>${label}</span><input class="pin" name="pin" type="password" inputmode="none" autocomplete="off" autofocus
      maxlength=${LONGEST} .value=${digits} ?readonly=${busy} @input=${(event: Event) => set((event.target as HTMLInputElement).value)}></label>
    <div role="alert">${fault ? html`<p class="fault">${fault}</p>` : nothing}</div>
    <div class="pad">${[..."123456789"].map(key)}
      <button type="button" class="key quiet" aria-label=${t("officer.pin.erase")} ?disabled=${busy} @click=${() => set(digits.slice(0, -1))}>${icon("erase")}</button>
      ${key("0")}
      <button class="key go" ?disabled=${busy} aria-label=${action}>${busy ? "…" : icon("check")}</button></div></form>`;
}

function told(refused: Refused): string {
  switch (refused.why) {
    case "wrong": return t("officer.pin.wrong", { n: refused.left });
    case "wait": return t("officer.pin.wait", { n: refused.seconds });
    case "network": return t("officer.pin.network");
    case "password": return t("officer.pin.locked");
    case "revoked": return t("officer.pin.revoked");
  }
}

async function enter(id: string, pin: string): Promise<void> {
  const refused = await enterByPin(id, pin);
  clear(refused ? told(refused) : "");
}

/** What became of a store whose device is shut out. */
export function goneText(): TemplateResult | typeof nothing {
  if (!state.gone) return nothing;
  const { name, handed } = state.gone;
  const what = handed === null ? "officer.gone.hand_over" : handed ? "officer.gone.handed" : "officer.gone.wiped";
  return html`<section class="late conflict" role="alert"><p>${t(what, { name, n: handed ?? 0 })}</p></section>`;
}

function who(): TemplateResult {
  return html`<h2>${t("officer.pin.who")}</h2><div class="stack">${state.people.map(({ id, name, login }) =>
    html`<button class="choice" @click=${() => choose(id)}>${name}<small>${login}</small></button>`)}</div>`;
}

/** The page is locked: whose PIN, and the pad. */
export function lockView(): TemplateResult {
  const one = state.people.find(({ id }) => id === state.who);
  const others = (): void => {
    clear();
    choose(null);
  };
  return html`<main class="lock"><div class="page">
    <h1 class="brand-line"><img src="/static/icon.svg" alt="">Outrider</h1>${goneText()}
    ${waiting().length && one ? html`<p class="stale">${t("officer.kept", { n: waiting().length })}</p>` : nothing}
    ${one ? pad(t("officer.pin.of", { name: one.name }), t("officer.pin.open"), (pin) => enter(one.id, pin)) : who()}
    <div class="stack">
      ${one && state.people.length > 1 ? html`<button class="big" @click=${others}>${t("officer.pin.other")}</button>` : nothing}
      <button class="big quiet" @click=${usePassword}>${t(one ? "officer.pin.forgotten" : "officer.pin.new_person")}</button>
      <div class="pair">${languageButtons()}
        <button class="button" @click=${toggleTheme}>${t(currentTheme() === "night" ? "theme.day" : "theme.night")}</button></div>
    </div></div></main>`;
}

const EASY = "01234567890123456789";
/** One digit only, or a run of them: what is tried first. */
const isEasy = (pin: string): boolean =>
  new Set(pin).size < 3 || EASY.includes(pin) || [...EASY].reverse().join("").includes(pin);

async function chosen(pin: string): Promise<void> {
  if (next) return setPin(next, pin);
  if (!first) {
    if (pin.length < SHORTEST) return clear(t("officer.pin.short", { n: SHORTEST }));
    if (isEasy(pin)) return clear(t("officer.pin.easy"));
    first = pin;
    return clear();
  }
  if (first !== pin) {
    first = "";
    return clear(t("officer.pin.differs"));
  }
  await setPin(pin);
}

/** Set it; when the server wants to know the present one first, that is asked for. */
async function setPin(pin: string, old?: string): Promise<void> {
  try {
    await choosePin(pin, called?.trim() || proposedName(), old);
  } catch (error) {
    const why = error instanceof ApiError ? error.errors.find(({ field }) => field === "old")?.code : undefined;
    if (!why) throw error;
    next = pin;
    return clear(why === "wrong" ? t("officer.pin.old.wrong") : "");
  }
  closePin();
  clear();
  if (state.route.view === "pin") go("#/");
}

/** Whoever leaves the screen begins anew. */
export function closePin(): void {
  [first, next] = ["", ""];
}

const proposedName = (): string => t("officer.pin.device", { unit: state.units[0]?.call_sign ?? state.me?.name ?? "" });

/** The name by which the centre finds a lost tablet among the others; asked once, before the PIN. */
function nameField(): TemplateResult | typeof nothing {
  if (state.enrolled || first) return nothing;
  const typed = (event: Event): void => { called = (event.target as HTMLInputElement).value; }; // from the first touch it is theirs
  return html`<label class="field"><span>${t("officer.pin.name")}</span><input type="text" name="tablet" maxlength="60" autocomplete="off"
    .value=${called ?? proposedName()} @focus=${typed} @input=${typed}><small>${t("officer.pin.name.hint")}</small></label>`;
}

/** Choose a PIN for this device, or another one. */
export function pinView(): TemplateResult {
  return html`<div class="page">${backBar("#/duty", t(state.enrolled ? "officer.pin.change" : "officer.pin.use"))}
    <p>${t("officer.pin.text")}</p>${nameField()}
    ${pad(t(next ? "officer.pin.old" : first ? "officer.pin.again" : "officer.pin.choose", { n: SHORTEST }), t("officer.pin.next"), chosen)}
    <p class="muted">${t("officer.pin.lost")}</p></div>`;
}

/** The offer to use a PIN, until it was taken or put aside on this device. */
export function pinOffer(): TemplateResult | typeof nothing {
  if (state.enrolled || localStorage.getItem(ASIDE)) return nothing;
  const aside = (): void => {
    localStorage.setItem(ASIDE, "1");
    redraw();
  };
  return html`<section class="card"><h2>${t("officer.pin.use")}</h2><p>${t("officer.pin.offer")}</p><div class="pair">
    <a class="big" href="#/pin">${t("officer.pin.use.yes")}</a><button class="big quiet" @click=${aside}>${t("officer.pin.use.no")}</button></div></section>`;
}

const ASIDE = "outrider.pin-aside";
