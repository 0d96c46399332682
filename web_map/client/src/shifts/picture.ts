/** The plan as a picture: units below each other, time from left to right, each shift a bar; and how many units are on. */
import { html, nothing, type TemplateResult } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { code, day, hourMinute, number, t } from "../shared/i18n";
import { may } from "../shared/session";
import type { Unit } from "../shared/types";
import { askPlan, pick } from "./actions";
import { nameOf, state, type Shift, type Standing } from "./state";
import { columnsOf, countedIn, extent, HOUR_MS, hours, lanes, laterDay, meets, standing, unitsOn, viewOf, type Span } from "./times";

const LANE_PX = 30;
export const STANDINGS: readonly Standing[] = ["planned", "late", "on", "ended", "missed", "cancelled"];
const PEOPLE = html`<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="8" r="4"></circle><path d="M4 21a8 8 0 0 1 16 0"></path></svg>`;

/** The units the filter leaves. */
export function shownUnits(): Unit[] {
  const text = state.text.trim().toLocaleLowerCase();
  const says = (unit: Unit): string => [unit.call_sign, code("unit_kind", unit.kind), ...unit.members.map(nameOf)].join(" ").toLocaleLowerCase();
  return (state.units ?? []).filter((unit) => (!state.office || unit.office_id === state.office) && text.split(/\s+/).every((word) => says(unit).includes(word)));
}

const visible = (shift: Shift): boolean => state.withCancelled || !shift.cancelled_at;

/** The shifts to be drawn, of each unit in the order they begin. */
function byUnit(view: Span, now: number): Map<string, Shift[]> {
  const shown = state.shifts.filter(visible).map((shift) => ({ shift, span: extent(shift, now) })).filter(({ span }) => meets(span, view));
  const found = new Map<string, Shift[]>();
  for (const { shift } of shown.sort((a, b) => a.span.from - b.span.from)) found.set(shift.unit_id, [...(found.get(shift.unit_id) ?? []), shift]);
  return found;
}

/** A shift in words, for whoever cannot see the bar. */
export function inWords(shift: Shift, callSign: string, now: number): string {
  const crew = shift.members.length ? t("shifts.people_n", { n: number(shift.members.length) }) : t("shifts.nobody");
  return [callSign, day(new Date(extent(shift, now).from)), hours(shift, now), crew, t(`shifts.standing.${standing(shift, now)}`)].join(", ");
}

export function picture(redraw: () => void): TemplateResult {
  const now = Date.now();
  const view = viewOf(state.day, state.scale);
  const units = shownUnits();
  const shifts = byUnit(view, now);
  const of = (unit: Unit): Shift[] => shifts.get(unit.id) ?? [];
  const keys = units.flatMap((unit) => [...(may("shifts.plan") ? [unit.id] : []), ...of(unit).map((shift) => shift.id)]);
  const cursor = keys.includes(state.cursor) ? state.cursor : keys[0];
  const follow = (event: FocusEvent): void => {
    state.cursor = (event.target as HTMLElement).dataset.key ?? state.cursor;
    redraw();
  };
  const to = laterDay(state.day, 6);
  const title = state.scale === "day" ? day(new Date(view.from)) : `${day(new Date(view.from))} – ${day(new Date(viewOf(to, "day").from))}`;
  return html`<section class="card entries plan" aria-busy=${state.loading}><div class="head"><h2>${title}</h2>${units.length ? legend() : nothing}</div>
    ${!state.units ? (state.fault ? nothing : html`<p class="muted" role="status">${t("loading")} <progress aria-label=${t("loading")}></progress></p>`)
      : !units.length ? html`<p class="muted">${t(state.units.length ? "shifts.no_match" : "shifts.no_units")}</p>`
      : html`<div class="scroll"><div class="picture ${state.scale}" role="group" aria-label=${t("shifts.title")} @keydown=${acrossRows} @focusin=${follow}>
        ${heading()}${counts(units, now)}
        <div class="rows">${lines(view, now)}${repeat(units, (unit) => unit.id, (unit) => row(unit, of(unit), view, now, cursor))}</div></div></div>`}</section>`;
}

function legend(): TemplateResult {
  const shown = STANDINGS.filter((one) => one !== "cancelled" || state.withCancelled);
  return html`<ul class="legend" role="list">${shown.map((one) => html`<li><i class="shift ${one}"></i>${t(`shifts.standing.${one}`)}</li>`)}</ul>`;
}

const heading = (): TemplateResult => html`<div class="line columns" aria-hidden="true"><span class="name"></span>
  <div class="track">${columnsOf(state.day, state.scale).map((column) => html`<span>${column.label}</span>`)}</div></div>`;

/** How many of the shown units are on shift: where nobody is, and could still be, it stands out. */
function counts(units: Unit[], now: number): TemplateResult {
  const ids = new Set(units.map((unit) => unit.id));
  const spans = countedIn(state.day, state.scale);
  const found = unitsOn(spans, state.shifts.filter((shift) => ids.has(shift.unit_id)), now);
  const said = spans.map((span, n) => `${hourMinute(new Date(span.from))} ${found[n]}`).join(", ");
  return html`<div class="line counts"><span class="name">${t("shifts.on_shift")}</span>
    <div class="track" role="img" aria-label=${`${t("shifts.on_shift")}: ${said}`}>${spans.map((span, n) => html`<span class=${found[n] ? "" : span.to > now ? "gap" : "none"}
      title=${`${hourMinute(new Date(span.from))}–${hourMinute(new Date(span.to))}: ${found[n]}`}>${found[n]}</span>`)}</div></div>`;
}

const share = (at: number, view: Span): number => (100 * (Math.min(Math.max(at, view.from), view.to) - view.from)) / (view.to - view.from);

/** A line at every column, and one for now. */
const lines = (view: Span, now: number): TemplateResult => html`<div class="lines" aria-hidden="true">
  ${columnsOf(state.day, state.scale).map((column) => html`<i .style=${`left:${share(column.from, view)}%`}></i>`)}
  ${now >= view.from && now < view.to ? html`<i class="now" .style=${`left:${share(now, view)}%`}></i>` : nothing}</div>`;

function row(unit: Unit, shifts: Shift[], view: Span, now: number, cursor: string | undefined): TemplateResult {
  const placed = lanes(shifts.map((shift) => extent(shift, now)));
  const height = LANE_PX * Math.max(1, ...placed.map((lane) => lane + 1)) + 6;
  const tab = (key: string): string => (key === cursor ? "0" : "-1");
  const planHere = (event: MouseEvent): void => {
    if (event.target !== event.currentTarget || !may("shifts.plan")) return;
    const at = view.from + ((view.to - view.from) * event.offsetX) / (event.currentTarget as HTMLElement).clientWidth;
    askPlan(unit.id, Math.floor(at / HOUR_MS) * HOUR_MS);
  };
  const name = may("shifts.plan")
    ? html`<button class="link pick" data-key=${unit.id} tabindex=${tab(unit.id)} aria-label=${t("shifts.plan_for", { unit: unit.call_sign })} @click=${() => askPlan(unit.id)}>${unit.call_sign}</button>`
    : html`<b>${unit.call_sign}</b>`;
  return html`<div class="line" role="group" aria-label=${unit.call_sign}><span class="name">${name}<span class="muted">${code("unit_kind", unit.kind)}</span></span>
    <div class="track ${may("shifts.plan") ? "free" : ""}" .style=${`height:${height}px`} @click=${planHere}>
      ${repeat(shifts, (shift) => shift.id, (shift, n) => bar(shift, unit, view, now, placed[n] ?? 0, tab(shift.id)))}</div></div>`;
}

function bar(shift: Shift, unit: Unit, view: Span, now: number, lane: number, tab: string): TemplateResult {
  const span = extent(shift, now);
  const [left, right] = [share(span.from, view), share(span.to, view)];
  const done = Math.min(100, Math.max(0, (100 * (now - Math.max(span.from, view.from))) / (Math.min(span.to, view.to) - Math.max(span.from, view.from))));
  const on = state.pickedId === shift.id;
  const words = inWords(shift, unit.call_sign, now);
  const short = state.scale === "week" ? hours(shift, now).replaceAll(":00", "") : hours(shift, now);
  return html`<button class="shift pick ${standing(shift, now)} ${span.from < view.from ? "before" : ""} ${span.to > view.to ? "after" : ""}" data-key=${shift.id} tabindex=${tab}
    aria-pressed=${on} title=${words} .style=${`left:${left}%;width:${right - left}%;top:${3 + lane * LANE_PX}px;--done:${done}%`}
    @click=${() => pick(on ? null : shift.id)}><span class="hidden-label">${words}</span><span aria-hidden="true">${short}</span><span class="crew" aria-hidden="true">${PEOPLE}${shift.members.length}</span></button>`;
}

/** ← and → go along a unit's shifts, ↑ and ↓ to what lies above or below, Home and End to the first and last. */
function acrossRows(event: KeyboardEvent): void {
  const here = document.activeElement as HTMLElement;
  const line = here.closest(".line");
  const along = [...(line?.querySelectorAll<HTMLElement>(".pick") ?? [])];
  if (!line || !along.includes(here)) return;
  const ways: Record<string, () => HTMLElement | undefined> = {
    ArrowRight: () => along[along.indexOf(here) + 1], ArrowLeft: () => along[along.indexOf(here) - 1], Home: () => along[0], End: () => along.at(-1),
    ArrowDown: () => nearest(here, line, "nextElementSibling"), ArrowUp: () => nearest(here, line, "previousElementSibling"),
  };
  const next = ways[event.key];
  if (!next) return;
  event.preventDefault();
  next()?.focus();
}

function nearest(here: HTMLElement, line: Element, way: "nextElementSibling" | "previousElementSibling"): HTMLElement | undefined {
  const middle = (one: HTMLElement): number => one.getBoundingClientRect().left + one.getBoundingClientRect().width / 2;
  for (let other = line[way]; other; other = other[way]) {
    const there = [...other.querySelectorAll<HTMLElement>(".pick")].sort((a, b) => Math.abs(middle(a) - middle(here)) - Math.abs(middle(b) - middle(here)));
    if (there[0]) return there[0];
  }
  return undefined;
}
