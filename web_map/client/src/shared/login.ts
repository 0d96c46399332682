/** The log-in form: works with password managers, says what is wrong, keeps what was typed. */
import { html, nothing, type TemplateResult } from "lit";
import { ApiError } from "./api";
import { currentLanguage, LANGUAGES, setLanguage, t } from "./i18n";
import { refusalText } from "./refusal";
import { signIn } from "./session";
import { currentTheme, toggleTheme } from "./theme";
import type { Me } from "./types";

let fault = "";
let busy = false;

/** The form; `done` is called with the person, `redraw` when the form itself changed. */
export function loginForm(done: (me: Me) => void, redraw: () => void): TemplateResult {
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const data = new FormData(event.target as HTMLFormElement);
    [busy, fault] = [true, ""];
    redraw();
    try {
      const person = await signIn(String(data.get("login")), String(data.get("password")));
      busy = false;
      done(person);
    } catch (error) {
      [busy, fault] = [false, error instanceof ApiError ? reason(error) : String(error)];
      redraw();
    }
  };
  return html`<main class="sign-in"><form @submit=${submit}>
    <h1><img src="/static/icon.svg" alt="">Outrider</h1>
    <p>${t("login.lead")}</p>
    <label class="field"><span>${t("login.login")}</span>
      <input name="login" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="200" autofocus></label>
    <label class="field"><span>${t("login.password")}</span>
      <input name="password" type="password" autocomplete="current-password" required maxlength="200"></label>
    <div role="alert">${fault ? html`<p class="fault">${fault}</p>` : nothing}</div>
    <button class="button primary" ?disabled=${busy}>${busy ? t("login.busy") : t("login.submit")}</button>
    <div class="choices">${languageButtons()}
      <button type="button" class="button" @click=${toggleTheme}>${t(currentTheme() === "night" ? "theme.day" : "theme.night")}</button>
    </div></form></main>`;
}

function reason(error: ApiError): string {
  if (error.code === "bad_credentials") return t("login.bad");
  if (error.code === "too_many") return t("login.too_many", { n: Number(error.body.retry_after_s ?? 60) });
  return refusalText(error);
}

export const languageButtons = (): TemplateResult[] =>
  LANGUAGES.filter((language) => language !== currentLanguage()).map((language) =>
    html`<button type="button" class="button" lang=${language} @click=${() => setLanguage(language)}>${t(`language.${language}`)}</button>`);
