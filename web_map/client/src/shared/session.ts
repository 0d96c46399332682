/** Who is signed in on this page. */
import { api, ApiError, setCsrfToken } from "./api";
import type { Me } from "./types";

let current: Me | null = null;

/** The signed-in person, or null; asks the server once. Throws ApiError when it cannot be reached. */
export async function resume(): Promise<Me | null> {
  try {
    return remember(await api.get<Me>("/me"));
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return remember(null);
    throw error;
  }
}

export async function signIn(login: string, password: string): Promise<Me> {
  setCsrfToken("");
  await api.post("/session", { login, password });
  const me = await resume();
  if (!me) throw new ApiError(401, "not_signed_in", "The browser refused the session's cookie.");
  return me;
}

export async function signOut(): Promise<void> {
  await api.delete("/session").catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  });
  remember(null);
}

function remember(me: Me | null): Me | null {
  current = me;
  setCsrfToken(me?.csrf_token ?? "");
  return me;
}

export const me = (): Me | null => current;
export const may = (permission: string): boolean => current?.permissions.includes(permission) ?? false;
