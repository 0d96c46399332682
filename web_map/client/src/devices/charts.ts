/** Small charts as SVG: how long it was between fixes, and what came twice, late or from elsewhere day by day. */
import { svg, html, nothing, type TemplateResult } from "lit";
import { number, t } from "../shared/i18n";
import type { Day } from "./state";
import { classMark, classText } from "./words";

const BAR = 9;
const WIDE_BAR = 13;
const HEIGHT = 26;
/** Bars grow by the square root: what is rare must still be seen. */
const height = (part: number, of: number): number => (part ? Math.max(1.5, of * Math.sqrt(part)) : 0);
const LOST_S = 600;

/** The intervals between a device's fixes by class; those in which it counted as lost stand out. */
export function gapChart(gaps: number[], bounds: number[], labelled = false): TemplateResult | typeof nothing {
  const total = gaps.reduce((sum, n) => sum + n, 0);
  if (!total) return html`<span class="muted">–</span>`;
  const top = Math.max(...gaps);
  const said = gaps.map((n, i) => (n ? `${classText(i, bounds)}: ${number(n)}` : "")).filter(Boolean).join("; ");
  const bar = labelled ? WIDE_BAR : BAR;
  const width = gaps.length * bar;
  return html`<svg class="gaps ${labelled ? "large" : ""}" viewBox="0 0 ${width} ${HEIGHT + (labelled ? 6 : 0)}" role="img" aria-label="${t("trust.gaps")}: ${said}">
    ${gaps.map((n, i) => svg`<rect class=${(bounds[i - 1] ?? 0) >= LOST_S ? "lost" : "kept"} x=${i * bar + 0.5} width=${bar - 1} y=${HEIGHT - height(n / top, HEIGHT)} height=${height(n / top, HEIGHT)}><title>${classText(i, bounds)}: ${number(n)}</title></rect>`)}
    <line x1="0" x2=${width} y1=${HEIGHT} y2=${HEIGHT}></line>
    ${labelled ? gaps.map((_, i) => svg`<text x=${i * bar + bar / 2} y=${HEIGHT + 4.6}>${classMark(i, bounds)}</text>`) : nothing}</svg>`;
}

const KINDS = ["jumps", "late", "duplicates"] as const;
const of = (day: Day, kind: (typeof KINDS)[number]): number => day[kind] / Math.max(1, day.accepted + (kind === "duplicates" ? day.duplicates : 0));

/** Day by day, the shares of fixes that jumped, came late, or came twice, one upon the other; nothing for silent days. */
export function dayChart(days: Day[]): TemplateResult | typeof nothing {
  if (!days.some((day) => day.accepted)) return html`<span class="muted">–</span>`;
  const width = days.length * BAR;
  const said = KINDS.map((kind) => `${t(`trust.${kind}`)} ${number(100 * Math.max(...days.map((day) => of(day, kind))), 1)} %`).join(", ");
  return html`<svg class="days" viewBox="0 0 ${width} ${HEIGHT}" role="img" aria-label="${t("trust.worst_day")}: ${said}">
    ${days.map((day, i) => bars(day, i))}</svg>`;
}

function bars(day: Day, place: number): unknown {
  const shares = KINDS.map((kind) => of(day, kind));
  const sum = shares.reduce((all, one) => all + one, 0);
  const whole = height(Math.min(1, sum), HEIGHT - 2);
  let y = HEIGHT - 2;
  return svg`${day.accepted || day.duplicates ? svg`<rect class="heard" x=${place * BAR + 0.5} width=${BAR - 1} y=${HEIGHT - 2} height="2"></rect>` : nothing}
    ${KINDS.map((kind, i) => {
      const tall = sum ? (whole * (shares[i] ?? 0)) / sum : 0;
      y -= tall;
      return svg`<rect class=${kind} x=${place * BAR + 0.5} width=${BAR - 1} y=${y} height=${tall}></rect>`;
    })}`;
}

/** What the colours of the days mean. */
export const dayLegend = (): TemplateResult =>
  html`<p class="key">${KINDS.map((kind) => html`<span><svg viewBox="0 0 10 10" aria-hidden="true"><rect class=${kind} width="10" height="10" rx="2"></rect></svg>${t(`trust.${kind}`)}</span>`)}</p>`;
