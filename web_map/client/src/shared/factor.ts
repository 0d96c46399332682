/** The second factor: the field for its code, and what an authenticator app is set up with. */
import { html, type TemplateResult } from "lit";
import { ref } from "lit/directives/ref.js";
import { api } from "./api";
import type { FactorOut } from "./contract";
import { t } from "./i18n";

export interface Claim {
  login: string;
  password: string;
}

export const beginFactor = (claim: Claim): Promise<FactorOut> => api.post<FactorOut>("/session/factor", claim);

/** Once it stands in the page: what comes after another step is not focused by the browser. */
export const focused = ref((element) => {
  if (element) queueMicrotask(() => (element as HTMLElement).focus());
});

/** Six digits, also as apps show them: in two groups. */
export const codeField = (): TemplateResult => html`<label class="field"><span>${t("factor.code")}</span>
  <input name="code" class="code" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{3} ?[0-9]{3}" title=${t("factor.code_hint")}
    required maxlength="7" spellcheck="false" ${focused}></label>`;

export const codeOf = (data: FormData): string => String(data.get("code")).replace(" ", "");

/** A wrong code is not mended but replaced by the next. */
export function emptyCode(form: HTMLFormElement): void {
  const field = form.elements.namedItem("code");
  if (!(field instanceof HTMLInputElement)) return;
  field.value = "";
  field.focus();
}

/** The code to be photographed, and the key in it for whoever has no camera. */
export function setUp(made: FactorOut): TemplateResult {
  const picture = `data:image/svg+xml,${encodeURIComponent(made.uri_svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"'))}`;
  return html`<img class="factor-code" src=${picture} alt=${t("factor.picture")}>
    <p class="factor-key"><span>${t("factor.by_hand")}</span> <code>${made.secret.match(/.{1,4}/g)?.join(" ")}</code></p>`;
}
