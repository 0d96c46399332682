/**
 * Photos and files go to the server after everything else: piece by piece, from the last byte it has confirmed.
 *
 * A file waits until its form has arrived. Before each piece the small records are let through. What the server says of
 * a file decides how to go on after a break; the device's own note of it only shows the progress.
 */
import { ApiError, request } from "../shared/api";
import type { Attachment, AttachmentIn } from "../shared/contract";
import { renewed } from "../shared/session";
import type { Local } from "./local";
import type { KeptFile } from "./model";
import { refusalOf, type OutboxHooks } from "./outbox";
import { backOffMs, Runner } from "./runner";

const PIECE_TIMEOUT_MS = 60_000;
const ANSWER_TIMEOUT_MS = 30_000;
/** Pieces of the store that go in one request: more while that is quick, at most what the server takes (4 MiB). */
const MOST_PIECES = 16;
const QUICK_MS = 1_500;
/** A file that arrives damaged so often is damaged here. */
const MOST_MISMATCHES = 3;

export interface UploadHooks extends Pick<OutboxHooks, "ready" | "changed" | "signedOut" | "reached"> {
  /** Resolves once no small record is being sent. */
  smallFirst: () => Promise<void>;
  /** More of a file has arrived. */
  progress: (file: KeptFile) => void;
  /** The server does not take a file. */
  refused: (file: KeptFile) => void;
}

const hex = (bytes: ArrayBuffer): string => Array.from(new Uint8Array(bytes), (byte) => byte.toString(16).padStart(2, "0")).join("");
export const sha256Of = async (content: BufferSource): Promise<string> => hex(await crypto.subtle.digest("SHA-256", content));

/** The same for as long as a file waits, so that announcing it again changes nothing. */
const announcement = ({ id, kind, form_id, name, media_type, size, sha256, captured_at, place }: KeptFile): AttachmentIn => ({
  id, [kind === "stop" ? "stop_form_id" : "violation_id"]: form_id, name, media_type: media_type || null, size, sha256, captured_at,
  ...(place ? { lon: place.lon, lat: place.lat, accuracy_m: place.accuracy_m } : {}),
});

const ask = (method: string, path: string, body?: unknown): Promise<Attachment> => renewed(() =>
  request<Attachment>(method, path, { ...(body === undefined ? {} : { body }), signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) }));

const isGone = (error: unknown): boolean => error instanceof ApiError && error.status === 404;

export class Uploads {
  private readonly runner: Runner;
  /** How often in a row the server could not be reached. */
  private failures = 0;
  private pieces = 1;

  constructor(private readonly local: Local, lockName: string, private readonly hooks: UploadHooks) {
    this.runner = new Runner(lockName, () => this.run());
    this.flush();
  }

  close(): void {
    this.runner.close();
  }

  /** Go on sending, now. */
  readonly flush = (): void => this.runner.flush();

  private async run(): Promise<number | null> {
    for (;;) {
      await this.hooks.smallFirst();
      const file = this.runner.closed || !this.hooks.ready() ? undefined : await this.next();
      if (!file) return null;
      try {
        await this.upload(file);
        this.failures = 0;
      } catch (error) {
        const waitMs = await this.failed(file, error);
        if (waitMs !== 0) return waitMs;
      }
    }
  }

  /** The file added first among those whose form the server has. */
  private async next(): Promise<KeptFile | undefined> {
    const { files, outbox, forms } = (await this.local.held()).kept;
    const unsent = new Set([...outbox, ...forms].map(({ id }) => id));
    return files.filter((file) => file.state === "waiting" && !unsent.has(file.form_id))
      .sort((a, b) => a.added_at.localeCompare(b.added_at))[0];
  }

  private async upload(file: KeptFile): Promise<void> {
    let there = await this.begun(file);
    for (let mismatches = 0; there.status === "receiving"; ) {
      for (let stuck = 0; there.received < file.size; ) {
        const next = await this.sendPiece(file, there.received);
        if (next.received <= there.received && ++stuck > MOST_MISMATCHES) throw new ApiError(503, "hash_mismatch", "");
        there = next;
      }
      try {
        there = await ask("POST", `/attachments/${file.id}/complete`, {});
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 409 || ++mismatches === MOST_MISMATCHES) throw error;
        there = await ask("GET", `/attachments/${file.id}`); // it came damaged: all of it once more
      }
    }
    if (there.refused) throw new ApiError(415, there.refused, "");
    await this.local.fileSent(file.id);
    this.hooks.reached(true);
    await this.hooks.changed();
  }

  /** The file as the server has it: announced now, or before a break. */
  private async begun(file: KeptFile): Promise<Attachment> {
    const known = file.announced ? await ask("GET", `/attachments/${file.id}`).catch((error: unknown) => {
      if (isGone(error)) return null; // the server was set back
      throw error;
    }) : null;
    const there = known ?? (await ask("POST", "/attachments", announcement(file)));
    await this.note(file, { announced: true, received: there.received });
    return there;
  }

  private async sendPiece(file: KeptFile, offset: number): Promise<Attachment> {
    await this.hooks.smallFirst();
    const content = await this.local.bytes(file, offset, this.pieces);
    const path = `/attachments/${file.id}/content?offset=${offset}&sha256=${await sha256Of(await content.arrayBuffer())}`;
    const began = performance.now();
    const there = await renewed(() => request<Attachment>("PUT", path, {
      raw: { content, type: "application/octet-stream" }, signal: AbortSignal.timeout(PIECE_TIMEOUT_MS),
    })).catch((error: unknown) => {
      if (error instanceof ApiError && error.status === 409) return ask("GET", `/attachments/${file.id}`); // it knows better
      throw error;
    });
    this.pieces = performance.now() - began < QUICK_MS ? Math.min(MOST_PIECES, this.pieces * 2) : Math.max(1, this.pieces >> 1);
    this.hooks.reached(true);
    await this.note(file, { received: there.received });
    return there;
  }

  private async note(file: KeptFile, fields: Partial<KeptFile>): Promise<void> {
    const noted = await this.local.changeFile(file.id, fields);
    if (!noted || noted.state !== "waiting") throw new DOMException("The officer took it back.", "AbortError");
    this.hooks.progress(noted);
  }

  /** Milliseconds until the next try, null to wait for a sign-in, 0 when the next file may follow. */
  private async failed(file: KeptFile, error: unknown): Promise<number | null> {
    this.pieces = 1;
    if (error instanceof DOMException && error.name === "AbortError") return 0;
    if (!(error instanceof ApiError || error instanceof DOMException)) throw error;
    const refusal = error instanceof ApiError ? refusalOf(error) : { status: 0, code: "unreadable", detail: error.message };
    if (error instanceof ApiError) {
      this.hooks.reached(error.status !== 0);
      if (error.status === 401) {
        this.hooks.signedOut(error);
        return null;
      }
      if (error.temporary || error.code === "csrf") {
        return Math.max(Number(error.body.retry_after_s ?? 0) * 1_000, backOffMs(this.failures++));
      }
    }
    const refused = await this.local.changeFile(file.id, { state: "refused", refused: refusal });
    if (refused) this.hooks.refused(refused);
    await this.hooks.changed();
    return 0;
  }
}
