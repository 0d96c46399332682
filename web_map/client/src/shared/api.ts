/** Requests to the server: JSON both ways, the session's cookie, its CSRF token, and errors with their code. */

const BASE = "/api/v1";
let csrfToken = "";
let expected: string | null = null;

export interface FieldFault {
  field: string;
  code: string;
  detail: string;
}

/** The server said no, or could not be reached (`status` 0). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
    readonly body: Record<string, unknown> = {},
  ) {
    super(detail);
  }

  get errors(): FieldFault[] {
    return (this.body.errors as FieldFault[] | undefined) ?? [];
  }

  /** Whether the same request may succeed later without being changed. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** From now on an answer meant for anybody else (another tab has signed in as them) is an error; null = anybody. */
export function expectPerson(id: string | null): void {
  expected = id;
}

/** A client-made id (UUID version 4) for a write, so that repeating it changes nothing. */
export function newId(): string {
  // crypto.randomUUID exists only in secure contexts; getRandomValues also on plain HTTP in a closed network.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

export interface Options {
  body?: unknown;
  raw?: { content: Blob; type: string };
  signal?: AbortSignal;
}

export async function request<Answer>(method: string, path: string, options: Options = {}): Promise<Answer> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET" && csrfToken) headers["X-CSRF-Token"] = csrfToken;
  if (method !== "GET") headers["X-Device-Time"] = new Date().toISOString(); // tells the server how far this clock is off
  if (options.raw) headers["Content-Type"] = options.raw.type;
  else if (options.body !== undefined) headers["Content-Type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method,
      headers,
      body: options.raw?.content ?? (options.body === undefined ? null : JSON.stringify(options.body)),
      credentials: "same-origin",
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error; // a time-out counts as unreachable
    throw new ApiError(0, "unreachable", "The server cannot be reached.");
  }
  const who = response.headers.get("X-Outrider-User");
  if (expected && who && who !== expected) throw new ApiError(401, "other_person", "Somebody else has signed in.");
  const body = response.status === 204 ? undefined : await response.json().catch(() => undefined);
  if (!response.ok) {
    const problem = (body ?? {}) as Record<string, unknown>;
    throw new ApiError(response.status, String(problem.code ?? "error"), String(problem.detail ?? ""), problem);
  }
  return body as Answer;
}

export const api = {
  get: <Answer>(path: string, signal?: AbortSignal) => request<Answer>("GET", path, signal ? { signal } : {}),
  post: <Answer>(path: string, body: unknown = {}) => request<Answer>("POST", path, { body }),
  patch: <Answer>(path: string, body: unknown) => request<Answer>("PATCH", path, { body }),
  delete: <Answer>(path: string) => request<Answer>("DELETE", path),
  upload: <Answer>(path: string, content: Blob, type: string) => request<Answer>("POST", path, { raw: { content, type } }),
};

/** The path with these parameters; those that are empty are left out. */
export function withQuery(path: string, parameters: Record<string, string | number | boolean | null | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}${path.includes("?") ? "&" : "?"}${text}` : path;
}

/** Every item of a list, page after page. */
export async function all<Item>(path: string): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | null = null;
  do {
    const page: { items: Item[]; next: string | null } = await api.get(
      withQuery(path, { limit: 500, after }),
    );
    items.push(...page.items);
    after = page.next;
  } while (after);
  return items;
}
