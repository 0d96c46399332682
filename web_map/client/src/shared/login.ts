/** The log-in form: works with password managers, says what is wrong, keeps what was typed, asks for a second factor. */
import { html, nothing, type TemplateResult } from "lit";
import { ApiError } from "./api";
import type { FactorOut } from "./contract";
import { beginFactor, codeField, codeOf, emptyCode, focused, setUp, type Claim } from "./factor";
import { currentLanguage, LANGUAGES, setLanguage, t } from "./i18n";
import { refusalText } from "./refusal";
import { signIn } from "./session";
import { currentTheme, toggleTheme } from "./theme";
import type { Me } from "./types";

/** What is asked for: login and password; then perhaps the code, with what to set an app up with where there is none yet. */
type Step = { kind: "password" } | { kind: "code"; claim: Claim; made: FactorOut | null };

const FIRST: Step = { kind: "password" };
let step: Step = FIRST;
let fault = "";
let busy = false;

/** The form; `done` is called with the person, `redraw` when the form itself changed. */
export function loginForm(done: (me: Me) => void, redraw: () => void): TemplateResult {
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.target as HTMLFormElement;
    const data = new FormData(form);
    const claim = step.kind === "code" ? step.claim : { login: String(data.get("login")), password: String(data.get("password")) };
    [busy, fault] = [true, ""];
    redraw();
    try {
      const person = await signIn(claim.login, claim.password, step.kind === "code" ? codeOf(data) : undefined);
      [busy, step] = [false, FIRST];
      done(person);
    } catch (error) {
      try {
        step = await after(error, claim);
      } catch (refusal) {
        fault = refusal instanceof ApiError ? reason(refusal) : String(refusal);
      }
      busy = false;
      redraw();
      emptyCode(form);
    }
  };
  const back = (): void => {
    [step, fault] = [FIRST, ""];
    redraw();
  };
  return html`<main class="sign-in"><form @submit=${submit}>
    <h1><img src="/static/icon.svg" alt="">Outrider</h1>
    ${step.kind === "code" ? codeStep(step.claim, step.made) : passwordStep()}
    <div role="alert">${fault ? html`<p class="fault">${fault}</p>` : nothing}</div>
    <button class="button primary" ?disabled=${busy}>${busy ? t("login.busy") : t("login.submit")}</button>
    <div class="choices">${step.kind === "code" ? html`<button type="button" class="button" @click=${back}>${t("login.back")}</button>` : nothing}${languageButtons()}
      <button type="button" class="button" @click=${toggleTheme}>${t(currentTheme() === "night" ? "theme.day" : "theme.night")}</button>
    </div></form></main>`;
}

const passwordStep = (): TemplateResult => html`<p>${t("login.lead")}</p>
  <label class="field"><span>${t("login.login")}</span>
    <input name="login" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="200" ${focused}></label>
  <label class="field"><span>${t("login.password")}</span>
    <input name="password" type="password" autocomplete="current-password" required maxlength="200"></label>`;

const codeStep = (claim: Claim, made: FactorOut | null): TemplateResult => html`<p>${t("login.as", { login: claim.login })}</p>
  ${made ? html`<p>${t("login.must_have")} ${t("factor.photograph")}</p>${setUp(made)}` : html`<p>${t("login.code_lead")}</p>`}${codeField()}`;

/** The step that a refusal asks for; throws what is to be told. */
async function after(error: unknown, claim: Claim): Promise<Step> {
  if (!(error instanceof ApiError)) throw error;
  if (error.code === "code_needed") return { kind: "code", claim, made: null };
  if (error.code === "code_unset") return { kind: "code", claim, made: await beginFactor(claim) };
  if (error.code === "bad_credentials") step = FIRST;
  throw error;
}

function reason(error: ApiError): string {
  if (error.code === "bad_credentials") return t("login.bad");
  if (error.code === "too_many") return t("login.too_many", { n: Number(error.body.retry_after_s ?? 60) });
  return refusalText(error);
}

export const languageButtons = (): TemplateResult[] =>
  LANGUAGES.filter((language) => language !== currentLanguage()).map((language) =>
    html`<button type="button" class="button" lang=${language} @click=${() => setLanguage(language)}>${t(`language.${language}`)}</button>`);
