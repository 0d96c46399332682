/** Who is signed in on this page. */
import { api, ApiError, request, setCsrfToken } from "./api";
import type { OfflineKey, SessionOut } from "./contract";
import type { Me } from "./types";

let current: Me | null = null;
let entering: Promise<unknown> = Promise.resolve();

/**
 * The signed-in person, or null, also while they have yet to choose a password of their own; asks the server once.
 * Throws ApiError when it cannot be reached or expects another.
 */
export async function resume(): Promise<Me | null> {
  return remember(await known());
}

async function known(): Promise<Me | null> {
  try {
    return await api.get<Me>("/me");
  } catch (error) {
    if (error instanceof ApiError && error.status === 401 && error.code !== "other_person") return null;
    throw error;
  }
}

/** The person of a new session; they are not signed in before a one-time password is changed. */
export async function signIn(login: string, password: string, code?: string): Promise<Me> {
  setCsrfToken("");
  const opened = api.post("/session", { login, password, ...(code === undefined ? {} : { code }) });
  entering = opened.catch(() => undefined);
  await opened;
  const person = await known();
  remember(person);
  if (!person) throw new ApiError(401, "not_signed_in", "The browser refused the session's cookie.");
  return person;
}

/** Once no log-in is under way: its session may take the place of one that has just ended. */
export const settled = (): Promise<unknown> => entering;

/** Sign in with an enrolled installation and its PIN; the server's half of the installation's key comes with it. */
export async function signInByPin(
  claim: { install_id: string; credential: string; pin: string }, signal?: AbortSignal,
): Promise<{ me: Me; offline: OfflineKey }> {
  setCsrfToken("");
  const { offline } = await request<SessionOut>("POST", "/session", { body: claim, ...(signal ? { signal } : {}) });
  const person = await resume();
  if (!person || !offline) throw new ApiError(401, "not_signed_in", "The browser refused the session's cookie.");
  return { me: person, offline };
}

/** `work`, once more with the token of the session as it is now if another tab has signed in anew. */
export async function renewed<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "csrf") throw error;
    if (!(await resume())) throw new ApiError(401, "not_signed_in", "The session is over.");
    return work();
  }
}

export async function signOut(): Promise<void> {
  await renewed(() => api.delete("/session")).catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  });
  remember(null);
}

function remember(me: Me | null): Me | null {
  current = me?.must_change_password ? null : me;
  setCsrfToken(me?.csrf_token ?? "");
  return current;
}

export const me = (): Me | null => current;
export const may = (permission: string): boolean => current?.permissions.includes(permission) ?? false;
