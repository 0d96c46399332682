/** What is asked above the page: a new person, other particulars, an end; and the password, shown this once. */
import { html, nothing, type TemplateResult } from "lit";
import { code, t } from "../shared/i18n";
import { me } from "../shared/session";
import { closeSheet, entered, secretField, sheetAround, sheetFoot } from "../shared/sheet";
import { change, disable, make, resetFactor, resetPassword, show } from "./actions";
import { ROLES, state, type Person, type Sheet } from "./state";

type Of<Kind extends Sheet["kind"]> = Extract<Sheet, { kind: Kind }>;
const FIELDS = ["name", "office_id", "badge_no", "email", "phone"] as const;

/** The sheet that is open. */
export function sheet(redraw: () => void): TemplateResult | typeof nothing {
  const open = state.sheet;
  if (!open) return nothing;
  const held = (): boolean => open.kind === "password" && !open.copied && !!open.person.one_time_password;
  return sheetAround(body(open, redraw), () => show(null), held);
}

function body(open: Sheet, redraw: () => void): TemplateResult {
  switch (open.kind) {
    case "make": return making(open);
    case "change": return changing(open);
    case "disable": return confirming(open, "disable", disable);
    case "factor": return confirming(open, "factor", resetFactor);
    case "forgotten": return confirming(open, "forgotten", resetPassword);
    case "password": return passwordShown(open, redraw);
  }
}

const textOf = (data: FormData, name: string): string | null => String(data.get(name) ?? "").trim() || null;

function making(open: Of<"make">): TemplateResult {
  const send = (event: SubmitEvent): void => {
    const data = entered(event);
    const particulars = Object.fromEntries(FIELDS.map((name) => [name, textOf(data, name)]));
    void make(open, { ...particulars, login: textOf(data, "login"), roles: data.getAll("roles") });
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("people.make")}</h2><p class="muted">${t("people.make_lead")}</p>
    <label class="field"><span>${t("people.login")}</span><input name="login" required minlength="2" maxlength="64" pattern="[A-Za-z0-9._@\\-]+" title=${t("people.login_lead")} autocomplete="off" autocapitalize="none" spellcheck="false" autofocus></label>
    ${particulars()}${roleBoxes([])}${sheetFoot(open, t("people.make_now"))}</form>`;
}

function changing(open: Of<"change">): TemplateResult {
  const { person } = open;
  const wanted = [...person.roles, ...person.roles_waiting];
  const send = (event: SubmitEvent): void => {
    const data = entered(event);
    const differs = FIELDS.map((name) => [name, textOf(data, name)] as const).filter(([name, value]) => value !== person[name]);
    const roles = data.getAll("roles").map(String);
    const others = roles.length !== wanted.length || roles.some((role) => !wanted.includes(role));
    const own = person.id === me()?.id; // nobody changes their own: the boxes are closed, and closed boxes are not sent
    if (!differs.length && (own || !others)) show(null);
    else void change(open, { ...Object.fromEntries(differs), ...(others && !own ? { roles } : {}) });
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t("people.change_title", { name: person.name })}</h2><p class="muted">${person.login}</p>
    ${particulars(person)}${roleBoxes(wanted, person)}${sheetFoot(open, t("people.save"))}</form>`;
}

function particulars(person?: Person): TemplateResult {
  const field = (name: "badge_no" | "email" | "phone", type: string, more = ""): TemplateResult =>
    html`<label class="field"><span>${t(`people.${name}`)}</span><input name=${name} type=${type} maxlength=${name === "phone" ? 40 : 200} pattern=${more || ".*"} autocomplete="off" .value=${person?.[name] ?? ""}></label>`;
  return html`<label class="field"><span>${t("people.name")}</span><input name="name" required maxlength="200" autocomplete="off" ?autofocus=${!!person} .value=${person?.name ?? ""}></label>
    <div class="pair"><label class="field"><span>${t("people.office")}</span><select name="office_id"><option value="">–</option>
      ${state.offices.map((office) => html`<option value=${office.id} ?selected=${office.id === person?.office_id}>${office.name}</option>`)}</select></label>
    ${field("badge_no", "text")}${field("email", "email")}${field("phone", "tel", "\\+?[0-9 \\(\\)\\-]+")}</div>`;
}

function roleBoxes(wanted: string[], person?: Person): TemplateResult {
  const own = !!person && person.id === me()?.id;
  const waits = (role: string): boolean => person?.roles_waiting.includes(role) ?? false;
  return html`<fieldset class="roles"><legend>${t("people.roles")}</legend>
    ${ROLES.map((role) => html`<label class="check"><input type="checkbox" name="roles" value=${role} .checked=${wanted.includes(role)} ?disabled=${own}>
      <span>${code("role", role)}${waits(role) ? html` <span class="muted">(${t("people.waits")})</span>` : nothing}</span></label>`)}
    <p class="muted">${t(own ? "people.own_roles" : person ? "people.roles_lead" : "people.roles_make_lead")}</p></fieldset>`;
}

function confirming(open: Of<"disable" | "factor" | "forgotten">, key: typeof open.kind, work: (sheet: typeof open) => Promise<void>): TemplateResult {
  const send = (event: SubmitEvent): void => {
    entered(event);
    void work(open);
  };
  return html`<form @submit=${send}><h2 id="sheet-title">${t(`people.${key}_title`, { name: open.person.name })}</h2>
    <p>${t(`people.${key}_lead`)}</p>${sheetFoot(open, t(`people.${key}_now`), true)}</form>`;
}

function passwordShown(open: Of<"password">, redraw: () => void): TemplateResult {
  const { person } = open;
  return html`<h2 id="sheet-title">${t("people.password", { name: person.name })}</h2>
    <p>${t("people.password_lead", { login: person.login })}</p>
    ${secretField("one_time_password", t("people.password_label"), person.one_time_password ?? "", open, redraw)}
    ${person.roles_waiting.length ? html`<p class="note">${t("people.password_waiting")}</p>` : nothing}
    <p class="buttons"><button class="button" @click=${closeSheet}>${t("people.password_kept")}</button></p>`;
}
