/** One device: why it is trusted no further, what it sent day by day, and what an administrator may do with it. */
import { html, nothing, type TemplateResult } from "lit";
import { ageText } from "../shared/age";
import { code, number, span, t } from "../shared/i18n";
import { may } from "../shared/session";
import { pick, show } from "./actions";
import { gapChart } from "./charts";
import { badge } from "./ranking";
import { BY_IDENTIFIER, state, type Sheet, type Trust } from "./state";
import { nameOf, reasonText, share, shareText, skewText } from "./words";

export function panel(): TemplateResult | typeof nothing {
  const device = state.picked;
  if (!device) return nothing;
  const sum = { accepted: device.accepted, came: device.accepted + device.duplicates, sent: device.accepted + device.duplicates + device.rejected };
  const facts: [key: string, value: string][] = [
    ["trust.seen", device.seen_at ? ageText(device.seen_at) : "–"],
    ["trust.unit_is", t(device.on_duty ? "trust.on_duty" : "trust.off_duty_now")],
    ["trust.battery", device.battery_pct === null ? "–" : `${number(device.battery_pct)} %`],
    ["trust.clock", device.last_skew_s === null ? "–" : skewText(device.skew_s)],
    ["trust.about", device.about ?? "–"],
    ["trust.interval", device.interval_s === null ? "–" : span(device.interval_s)],
    ["trust.fixes", number(device.accepted)],
    ["trust.duplicates", share(device.duplicates, sum.came)],
    ["trust.late", share(device.late, sum.accepted)],
    ["trust.jumps", share(device.jumps, sum.accepted)],
    ["trust.frozen", share(device.frozen, sum.accepted)],
    ["trust.no_fix", share(device.no_fix, sum.accepted)],
    ["trust.off_clock", share(device.off_clock, sum.accepted)],
    ["trust.silent", shareText(device.silent_share)],
    ["trust.rejected", share(device.rejected, sum.sent)],
    ["trust.unreadable", number(device.unreadable)],
    ["trust.off_duty", number(device.off_duty)],
  ];
  return html`<aside class="card panel" aria-label=${t("trust.device")}>
    <div class="head"><h2>${device.call_sign ?? t("trust.no_unit")}</h2>${badge(device.score)}
      <button class="button" @click=${() => void pick(null)}>${t("close")}</button></div>
    <p class="muted">${code("device_protocol", device.protocol)} · ${nameOf(device)}</p>
    ${device.revoked_at ? html`<p class="fault">${t("trust.revoked")}</p>` : nothing}
    ${actions(device)}
    <h3>${t("trust.why")}</h3>${device.reasons.length ? html`<ul class="why">${device.reasons.map((reason) => html`<li><span>${reasonText(reason, device)}</span><b>${reason.points ? `−${reason.points}` : ""}</b></li>`)}</ul>` : html`<p class="muted">${t("trust.fine")}</p>`}
    <h3>${t("trust.week")}</h3><dl class="facts">${facts.map(([key, value]) => html`<div><dt>${t(key)}</dt><dd>${value}</dd></div>`)}</dl>
    <h3>${t("trust.gaps_between")}</h3>${gapChart(device.gaps, state.ranking?.gap_bounds_s ?? [], true)}
    ${series(device)}</aside>`;
}

function actions(device: Trust): TemplateResult | typeof nothing {
  if (!may("devices.write") || device.revoked_at) return nothing;
  const ask = (kind: "assign" | "rotate" | "revoke"): void => show({ kind, device, busy: false, fault: "" } as Sheet);
  return html`<p class="buttons"><button class="button" @click=${() => ask("assign")}>${t("device.assign")}</button>
    ${BY_IDENTIFIER.has(device.protocol) ? nothing : html`<button class="button" @click=${() => ask("rotate")}>${t("device.rotate")}</button>`}
    <button class="button danger" @click=${() => ask("revoke")}>${t("device.revoke")}</button></p>`;
}

function series(device: Trust): TemplateResult {
  const days = [...device.days].reverse();
  return html`<h3>${t("trust.by_day")}</h3><div class="table series" tabindex="0" role="region" aria-label=${t("trust.by_day")}><table>
    <thead><tr><th>${t("trust.day")}</th>${["fixes", "duplicates", "late", "jumps", "no_fix", "rejected", "silent"].map((key) => html`<th class="n">${t(`trust.${key}`)}</th>`)}<th class="n">${t("trust.clock")}</th></tr></thead>
    <tbody>${days.map((day) => html`<tr class=${day.accepted ? "" : "empty"}><td>${day.day}</td>
      ${[day.accepted, day.duplicates, day.late, day.jumps, day.no_fix, day.rejected].map((n) => html`<td class="n">${number(n)}</td>`)}
      <td class="n">${shareText(day.silent_share)}</td><td class="n">${day.skew_s === null ? "–" : `${number(day.skew_s)} s`}</td></tr>`)}</tbody></table></div>`;
}
