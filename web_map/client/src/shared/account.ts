/** Who is signed in, their password, and the second factor of their own accord: a dialog that every desk opens by the name. */
import { html, nothing, render, type TemplateResult } from "lit";
import { keyed } from "lit/directives/keyed.js";
import { ApiError } from "./api";
import type { FactorOut } from "./contract";
import { beginFactor, codeField, codeOf, emptyCode, focused, setUp } from "./factor";
import { onLanguage, t } from "./i18n";
import { changePassword, newPasswordFields } from "./own_password";
import { refusalText } from "./refusal";
import { me, renewed, signIn } from "./session";

/** The signed-in person's name, to be pressed. */
export const personButton = (): TemplateResult =>
  html`<button class="button person" title=${t("account.title")} @click=${openAccount}>
    <svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="8" r="4"></circle><path d="M4 21a8 8 0 0 1 16 0"></path></svg><span>${me()?.name}</span></button>`;

function openAccount(): void {
  const dialog = document.createElement("dialog");
  dialog.className = "account";
  dialog.setAttribute("aria-labelledby", "account-title");
  dialog.addEventListener("keydown", (event) => event.stopPropagation()); // the page's single keys do nothing behind it
  document.body.append(dialog);
  let [made, password, fault, busy]: [FactorOut | null, string, string, boolean] = [null, "", "", false];
  let asks: "factor" | "password" | "changed" = "factor";

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const data = new FormData(form);
    const login = me()?.login ?? "";
    [fault, busy] = ["", true];
    draw();
    try {
      if (asks === "password") {
        await renewed(() => changePassword(String(data.get("password")), data));
        asks = "changed";
      } else if (made) {
        await signIn(login, password, codeOf(data));
        return location.reload(); // the sessions of before have ended, and with them the page's connections
      } else {
        password = String(data.get("password"));
        made = await beginFactor({ login, password });
      }
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fault = error.code === "bad_credentials" ? t("account.bad_password") : refusalText(error);
    }
    busy = false;
    draw();
    if (fault) emptyCode(form);
  };

  const oldField = (): TemplateResult => html`<label class="field"><span>${t("account.password")}</span>
    <input name="password" type="password" autocomplete="current-password" required maxlength="200" ${focused}></label>`;
  const factor = (): TemplateResult => html`<h3>${t("factor.title")}</h3>${me()?.has_factor ? html`<p>${t("factor.on")}</p>`
    : made ? html`<p>${t("factor.photograph")}</p>${setUp(made)}${codeField()}<p>${t("factor.loads_anew")}</p>`
    : html`<p>${t("factor.off")}</p>${oldField()}`}`;
  const ownPassword = (): TemplateResult => html`<h3>${t("password.title")}</h3>
    ${asks === "changed" ? html`<p role="status">${t("password.changed")}</p>` : html`${oldField()}${newPasswordFields(false)}`}`;
  const ask = (next: typeof asks): void => {
    [asks, made, fault] = [next, null, ""];
    draw();
  };
  const primary = (): string => (asks === "password" ? "password.change" : asks === "changed" || me()?.has_factor ? "" : made ? "factor.confirm" : "factor.begin");
  const draw = (): void => void render(html`<form @submit=${submit}><h2 id="account-title">${me()?.name}</h2>
    <p>${me()?.login}</p>${keyed(asks, asks === "factor" ? factor() : ownPassword())}
    <div role="alert">${fault ? html`<p class="fault">${fault}</p>` : nothing}</div>
    <p class="buttons">${primary() ? html`<button class="button primary" ?disabled=${busy}>${t(primary())}</button>` : nothing}
      ${asks === "factor" ? html`<button type="button" class="button" @click=${() => ask("password")}>${t("password.begin")}</button>`
        : html`<button type="button" class="button" @click=${() => ask("factor")}>${t("factor.title")}</button>`}
      <button type="button" class="button" @click=${() => dialog.close()}>${t("close")}</button></p></form>`, dialog);
  const stop = onLanguage(draw);
  dialog.addEventListener("close", () => {
    stop();
    dialog.remove();
  });
  draw();
  dialog.showModal();
}
