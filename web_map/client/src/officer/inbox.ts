/**
 * The officer's inbox on this device: read over the socket, by polling while the socket is away, always by `seq`.
 *
 * Items are stored first and acknowledged after that, since "delivered" means that the device has them.
 */
import { api, ApiError, withQuery } from "../shared/api";
import { Live, type LinkState } from "../shared/live";
import { renewed } from "../shared/session";
import type { ServerMessage } from "../shared/types";
import type { Local } from "./local";
import type { InboxItem, InboxPage } from "./model";

const POLL_MS = 15_000;
const PAGE = 200;

export interface InboxHooks {
  /** These items are new on this device and stored. */
  arrived: (items: InboxItem[]) => Promise<void>;
  link: (state: LinkState) => void;
  /** How far this device's clock is ahead of the server's. */
  clock: (off_ms: number) => void;
  signedOut: (error: ApiError) => void;
  reached: (reached: boolean) => void;
  /** Everything there was is stored. */
  caughtUp: () => void;
  /** Everything up to this number is stored. */
  stored: (seq: number) => void;
}

export class Inbox {
  private readonly live: Live;
  private readonly timer: number;
  private link: LinkState = "connecting";
  private work: Promise<void> = Promise.resolve();
  private closed = false;

  private seq = 0;
  /** Up to where the server has been told that this device has stored; what went over a socket that is lost does not count. */
  private told = 0;
  /** `seq` is read from the device. */
  private readonly began: Promise<void>;

  /** Go on from where this device stopped reading. */
  constructor(private readonly local: Local, private readonly hooks: InboxHooks) {
    this.queue(async () => {
      this.seq = (await local.fact("seq")) ?? 0;
      hooks.stored(this.seq);
    });
    this.began = this.work;
    this.live = new Live({
      path: "/api/v1/inbox/live",
      hello: () => this.hello(),
      message: (message) => this.heard(message),
      state: (state) => this.linked(state),
      signedOut: () => hooks.signedOut(new ApiError(401, "not_signed_in", "The session is over.")),
    });
    this.timer = window.setInterval(() => {
      if (this.link !== "up") this.poll();
    }, POLL_MS);
    this.poll();
  }

  close(): void {
    this.closed = true;
    clearInterval(this.timer);
    this.live.close();
  }

  /** Read everything later than what is stored. */
  readonly poll = (): void => this.queue(() => this.catchUp());

  /** By a ticket rather than the cookie, which may be somebody else's by now. */
  private async hello(): Promise<Record<string, unknown>> {
    await this.began;
    const { ticket } = await renewed(() => api.post<{ ticket: string }>("/session/socket-ticket"));
    return { ticket, after: this.seq };
  }

  private linked(state: LinkState): void {
    const before = this.link;
    this.link = state;
    this.hooks.link(state);
    if (state === "lost") this.told = 0;
    if (state === "lost" && before === "up") this.poll();
  }

  private heard(message: ServerMessage): void {
    if (message.kind === "welcome") {
      this.hooks.clock(Date.now() - Date.parse(message.server_time));
      this.queue(() => this.tell());
    } else if (message.kind === "inbox") this.queue(() => this.take(message.items as unknown as InboxItem[]));
    else if (message.kind === "resync") this.poll();
  }

  /** One thing at a time, so that `seq` only grows. */
  private queue(work: () => Promise<void>): void {
    this.work = this.work.then(work).catch((error: unknown) => {
      if (this.closed) return;
      if (!(error instanceof ApiError)) return reportError(error);
      this.hooks.reached(error.status !== 0);
      if (error.status === 401) this.hooks.signedOut(error);
    });
  }

  private async take(items: InboxItem[]): Promise<void> {
    const first = items[0];
    if (!first) return;
    if (first.seq > this.seq + 1) return this.catchUp(); // something between was missed
    await this.keep(items);
  }

  private async catchUp(): Promise<void> {
    let more = true;
    while (more) {
      const page = await api.get<InboxPage>(withQuery("/inbox", { after: this.seq, limit: PAGE }));
      this.hooks.reached(true);
      if (page.head_seq < this.seq) {
        await this.local.forgetInbox(); // the server was set back: what it has now is what counts
        this.seq = this.told = 0;
        continue;
      }
      await this.keep(page.items);
      more = page.next !== null;
    }
    this.hooks.caughtUp();
    await this.tell();
  }

  private async keep(items: InboxItem[]): Promise<void> {
    const last = items.at(-1);
    if (!last) return;
    const fresh = await this.local.store(items);
    this.seq = Math.max(this.seq, last.seq);
    this.hooks.stored(this.seq);
    await this.tell();
    await this.hooks.arrived(fresh);
  }

  /** Say how far everything is stored, unless that was said. */
  private async tell(): Promise<void> {
    const upto = this.seq;
    if (upto <= this.told) return;
    if (!this.live.send({ kind: "ack", upto })) await renewed(() => api.post("/inbox/ack", { upto }));
    this.told = upto;
  }
}
