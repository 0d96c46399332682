/** Who is to be on a shift: the unit's own people first, others by name; with a warning about whoever is elsewhere then. */
import { html, nothing, type TemplateResult } from "lit";
import { number, t } from "../shared/i18n";
import { faultAt } from "../shared/sheet";
import { elsewhere, entering } from "./actions";
import { callSign, nameOf, state, unitOf, type Planning } from "./state";
import { hours } from "./times";

const FOUND = 8;
const byName = (a: string, b: string): number => nameOf(a).localeCompare(nameOf(b));

export function crewField(open: Planning, redraw: () => void): TemplateResult {
  const { draft } = open;
  const own = unitOf(draft.unitId)?.members ?? [];
  const usable = (id: string): boolean => !!state.people.get(id)?.available || draft.members.has(id);
  const others = [...new Set([...draft.members, ...(open.shift?.members ?? [])])].filter((id) => !own.includes(id));
  const found = search(draft.text).filter((id) => !own.includes(id) && !others.includes(id));
  const looking = (event: Event): void => entering(open, { text: (event.target as HTMLInputElement).value });
  const noEnter = (event: KeyboardEvent): void => { if (event.key === "Enter") event.preventDefault(); }; // it looks, it does not send
  return html`<fieldset class="crew-field" aria-describedby="fault-members"><legend>${t("shifts.crew")} · ${number(draft.members.size)}</legend>
    ${own.filter(usable).sort(byName).map((id) => box(open, id, redraw))}${others.sort(byName).map((id) => box(open, id, redraw))}
    ${draft.unitId && !own.length ? html`<p class="muted">${t("shifts.no_own")}</p>` : nothing}
    <label class="field"><span>${t("shifts.others")}</span><input type="search" name="others" maxlength="100" autocomplete="off" .value=${draft.text} @input=${looking} @keydown=${noEnter}></label>
    ${found.slice(0, FOUND).map((id) => box(open, id, redraw))}
    ${draft.text.trim() ? html`<p class="muted" role="status">${!found.length ? t("shifts.none_found") : found.length > FOUND ? t("shifts.more_found", { n: number(found.length - FOUND) }) : ""}</p>` : nothing}</fieldset>
    ${faultAt(open.faults, "members")}`;
}

function search(entry: string): string[] {
  const words = entry.trim().toLocaleLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const says = (id: string): string => `${nameOf(id)} ${state.people.get(id)?.badge_no ?? ""}`.toLocaleLowerCase();
  return [...state.people.values()].filter((one) => one.available).map((one) => one.id).filter((id) => words.every((word) => says(id).includes(word))).sort(byName);
}

function box(open: Planning, id: string, redraw: () => void): TemplateResult {
  const { draft, shift } = open;
  const stays = !!shift?.on_at && shift.members.includes(id);
  const busy = elsewhere(open, id);
  const toggle = (event: Event): void => {
    if ((event.target as HTMLInputElement).checked) draft.members.add(id);
    else draft.members.delete(id);
    delete open.faults.members;
    redraw();
  };
  return html`<label class="check"><input type="checkbox" name="members" value=${id} .checked=${draft.members.has(id)} ?disabled=${stays} @change=${toggle}>
    <span>${nameOf(id)} <span class="muted">${state.people.get(id)?.badge_no ?? ""}</span>
      ${busy ? html`<span class="warned">${t("shifts.elsewhere", { unit: callSign(busy.unit_id), hours: hours(busy, Date.now()) })}</span>` : nothing}</span></label>`;
}
