/** A password of one's own: the two fields for it, and the change. */
import { html, nothing, type TemplateResult } from "lit";
import { api } from "./api";
import { focused } from "./factor";
import { t } from "./i18n";

const MIN_LENGTH = 12;

/** Typed twice; the browser itself says what is not right yet. `first`: whether the focus goes there at once. */
export function newPasswordFields(first: boolean): TemplateResult {
  const compare = (event: Event): void => {
    const fields = (event.target as HTMLInputElement).form?.elements;
    const [fresh, again] = ["new", "again"].map((name) => fields?.namedItem(name) as HTMLInputElement);
    again?.setCustomValidity(again.value === fresh?.value ? "" : t("password.differ"));
  };
  const field = (name: string, label: string, focus: unknown): TemplateResult => html`<label class="field"><span>${label}</span>
    <input name=${name} type="password" autocomplete="new-password" required minlength=${MIN_LENGTH} maxlength="200" @input=${compare} ${focus}></label>`;
  return html`${field("new", t("password.new", { n: MIN_LENGTH }), first ? focused : nothing)}${field("again", t("password.again"), nothing)}`;
}

/** Throws ApiError; the person's other sessions end. */
export const changePassword = (old: string, data: FormData): Promise<unknown> =>
  api.post("/session/password", { old, new: String(data.get("new")) });
