/** The colours of heat, and their legend: steps of a count between 1 and the scale's top. */
import { html, svg, type TemplateResult } from "lit";
import { number, t } from "../i18n";
import { currentTheme, type Theme } from "../theme";

/**
 * Steps of matplotlib's "inferno" (CC0), ordered in lightness, so that they are told apart with colour blindness too:
 * towards light on the dark land of the night, towards dark by day, so that the most always stands out the most.
 */
const RAMPS: Record<Theme, readonly string[]> = {
  night: ["#3b0f70", "#641a80", "#8c2981", "#b73779", "#de4968", "#f7705c", "#fe9f6d", "#fecf92", "#fcfdbf"],
  day: ["#fecf92", "#fe9f6d", "#f7705c", "#de4968", "#b73779", "#8c2981", "#641a80", "#3b0f70", "#150e37"],
};
const LAST = 8;
const MIDDLE = LAST / 2;

/** The step of a count, logarithmic. */
function stepOf(n: number, top: number): number {
  return top <= 1 ? LAST : Math.min(LAST, Math.floor((Math.log(n) / Math.log(top)) * LAST + 1e-9));
}

/** The colour of a count in the theme there is. */
export const heatColour = (n: number, top: number): string => RAMPS[currentTheme()][stepOf(n, top)] as string;

/** The steps with their least, middle and greatest count; `more`: there may be greater ones. */
export function heatLegend(top: number, more = false): TemplateResult {
  const middle = Math.ceil(top ** (MIDDLE / LAST) - 1e-9);
  return html`<div class="legend" role="img" aria-label=${t("heat.legend", { top })}>
    <svg viewBox="0 0 90 8" preserveAspectRatio="none" aria-hidden="true">${RAMPS[currentTheme()].map((colour, i) => svg`<rect x=${i * 10} width="10" height="8" fill=${colour}></rect>`)}</svg>
    <span>1</span><span>${number(middle)}</span><span>${number(top)}${more ? "+" : ""}</span></div>`;
}
