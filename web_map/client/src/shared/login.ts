/** The log-in form: works with password managers, says what is wrong, keeps what was typed, asks for a second factor and
 * for a password of one's own in place of a one-time one. */
import { html, nothing, type TemplateResult } from "lit";
import { ApiError } from "./api";
import type { FactorOut } from "./contract";
import { beginFactor, codeField, codeOf, emptyCode, focused, setUp, type Claim } from "./factor";
import { currentLanguage, LANGUAGES, setLanguage, t } from "./i18n";
import { changePassword, newPasswordFields } from "./own_password";
import { refusalText } from "./refusal";
import { resume, signIn, signOut } from "./session";
import { currentTheme, toggleTheme } from "./theme";
import type { Me } from "./types";

/** What is asked for: login and password; then perhaps the code, with what to set an app up with where there is none yet, and
 * another password than the one-time one. */
type Step = { kind: "password" } | { kind: "code"; claim: Claim; made: FactorOut | null } | { kind: "own"; claim: Claim };

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
    const claim = step.kind !== "password" ? step.claim : { login: String(data.get("login")), password: String(data.get("password")) };
    [busy, fault] = [true, ""];
    redraw();
    try {
      if (step.kind === "own") await changePassword(claim.password, data);
      const person = step.kind === "own" ? await resume() : await signIn(claim.login, claim.password, step.kind === "code" ? codeOf(data) : undefined);
      busy = false;
      step = person?.must_change_password ? { kind: "own", claim } : FIRST;
      if (person && step === FIRST) done(person);
      else redraw();
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
    if (step.kind === "own") void signOut().catch(() => undefined);
    [step, fault] = [FIRST, ""];
    redraw();
  };
  return html`<main class="sign-in"><form @submit=${submit}>
    <h1><img src="/static/icon.svg" alt="">Outrider</h1>
    ${step.kind === "code" ? codeStep(step.claim, step.made) : step.kind === "own" ? ownStep(step.claim) : passwordStep()}
    <div role="alert">${fault ? html`<p class="fault">${fault}</p>` : nothing}</div>
    <button class="button primary" ?disabled=${busy}>${busy ? t("login.busy") : t("login.submit")}</button>
    <div class="choices">${step.kind !== "password" ? html`<button type="button" class="button" @click=${back}>${t("login.back")}</button>` : nothing}${languageButtons()}
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

const ownStep = (claim: Claim): TemplateResult => html`<p>${t("login.as", { login: claim.login })}</p>
  <p>${t("login.own_lead")}</p>
  <input name="username" type="text" autocomplete="username" .value=${claim.login} readonly hidden>${newPasswordFields(true)}`;

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
