/** Types of galaxy-live.js, the browser client of `galaxy.v1` (docs/protocol.md). Times are ms since the Unix epoch. */

export const SUBPROTOCOL: "galaxy.v1.json";

export type Role = "owner" | "moderator" | "member" | "none";
export type ConnectionState = "connecting" | "catching_up" | "online" | "offline" | "closed";
/** Why a token is asked for: `refresh` renews on the open connection; `expired` and `rejected` need a fresh one. */
export type TokenReason = "connect" | "refresh" | "expired" | "rejected";

export interface User {
  id: string;
  name: string;
  role?: Role;
  avatar?: string;
}

export interface Message {
  text: string;
  /** Counts messages: unread is a difference of two. */
  n: number;
  reply_to?: { pos: number; by: User; text: string };
  mentions: string[];
}

export interface ListedMessage extends Partial<Message> {
  pos: number;
  n: number;
  at: number;
  by: User;
  edited_at?: number;
  deleted?: boolean;
  pinned?: boolean;
  reactions?: { emoji: string; count: number; mine: boolean }[];
}

export interface RoomSettings {
  slow_seconds: number;
  write: "everyone" | "members" | "entitled" | "moderators";
  entitlement: string;
  invite_only: boolean;
  locked: boolean;
  emoji_only: boolean;
  unique: boolean;
  min_account_hours: number;
  delay_seconds: number;
  history: "visible" | "from_join";
  max_text: number;
  policy: string;
}

export interface Room {
  id: string;
  kind: "group" | "live";
  title: string;
  visibility?: "public" | "private";
  settings?: RoomSettings;
  counts?: { members: number; online: number };
  live?: { session: string; title: string; category?: string; mature?: boolean; since: number; interrupted?: number; media: MediaPaths };
}

/** Paths on the server. */
export interface MediaPaths {
  whep: string;
  stream: string;
  hls: string;
}

export interface Destination {
  id: string;
  name: string;
  /** Without the key, which is never shown again. */
  url: string;
  enabled: boolean;
}

export interface Recording {
  id: string;
  session: string;
  user: string;
  title: string;
  state: "listed" | "unlisted" | "hidden";
  started_at: number;
  length_ms: number;
  bytes: number;
  width: number;
  height: number;
  first_pos: number;
  last_pos?: number;
  hls: string;
  mp4: string;
  poster: string;
}

/** An event of a room's log: `pos` is gapless within an `epoch`. See the table of commands for the fields of each. */
export interface LoggedEvent {
  type: string;
  room: string;
  pos: number;
  at: number;
  by: User;
  message?: Message;
  target?: number;
  deleted?: boolean;
  [field: string]: unknown;
}

export interface Welcome {
  type: "welcome";
  session: string;
  user: { id: string; name: string; roles: string[] };
  server_time: number;
  limits: Record<string, number>;
  heartbeat_ms: number;
}

export interface JoinReply {
  room: Room;
  you: { role: Role; muted_until?: number; read_pos: number };
  epoch: string;
  pos: number;
  first_pos: number;
  recovered: boolean;
  events: LoggedEvent[];
}

export interface OkReply {
  type: "ok";
  id: number;
  duplicate?: boolean;
  [field: string]: any;
}

/** The replies of the commands used most; every other command resolves with {@link OkReply}. */
export interface Replies {
  "room.create": OkReply & { room: Room };
  "room.list": OkReply & { rooms: Room[]; cursor?: string };
  "room.events": OkReply & { events: LoggedEvent[]; more: boolean; first_pos: number; pos: number; epoch: string };
  "invite.create": OkReply & { code: string };
  "invite.list": OkReply & { invites: { code: string; uses: number | null; until: number | null; by: User }[] };
  "invite.accept": OkReply & { room: string; pos: number };
  "member.list": OkReply & { members: (User & { role: Role; online: boolean })[]; cursor?: string };
  "message.send": OkReply & SendReply;
  "message.list": OkReply & { messages: ListedMessage[]; more: boolean };
  "message.search": OkReply & { messages: ListedMessage[]; cursor?: string };
  "read.list": OkReply & { rooms: UnreadCounts[] };
  "live.get": OkReply & { stream: { state: "idle" | "stopped" | "admitted" | "flowing" | "interrupted"; title: string; category?: string; mature: boolean; test: boolean; user?: string; session?: string; started_at?: number } };
  "live.key": OkReply & { key: string; whip: string; rtmp: string };
  "live.destination.list": OkReply & { destinations: Destination[] };
  "live.destination.add": OkReply & { destination: Destination };
  "live.destination.update": OkReply & { destination: Destination };
  "recording.list": OkReply & { recordings: Recording[]; cursor?: string };
}

export interface SendReply {
  pos?: number;
  at?: number;
  held?: true;
  delayed?: true;
  pending?: string;
  duplicate?: true;
}

export interface UnreadCounts {
  room: string;
  unread: number;
  mentions: number;
  read_pos: number;
}

/** An error reply, or one of the client's own codes: `disconnected`, `timeout`, `stopped`. */
export class GalaxyError extends Error {
  code: string;
  retry: boolean;
  retry_after_ms?: number;
  field?: string;
  constructor(reply: { code: string; message?: string; retry?: boolean; retry_after_ms?: number; field?: string });
}

export class Emitter<Events> {
  /** Returns the function that takes the listener off again. */
  on<Name extends keyof Events & string>(name: Name, listener: (detail: Events[Name]) => void): () => void;
  emit<Name extends keyof Events & string>(name: Name, detail: Events[Name]): void;
}

export interface ClientEvents {
  /** `code` and `reason` of the close where the state is `closed`; `delayMs` to the next attempt where `offline`. */
  state: { state: ConnectionState; code?: number; reason?: string; delayMs?: number };
  welcome: Welcome;
  /** After each join, the rejoins of a reconnection included; recovered events were emitted before it. */
  joined: { room: string; recovered: boolean; reply: JoinReply };
  /** What was missed cannot be recovered: load the room's messages anew. */
  reset: { room: string; reply?: JoinReply };
  "room.removed": { type: "room.removed"; room: string; code: string; reason?: string; until?: number };
  /** Every event, logged ones in order and once; each is emitted under its own `type` as well. */
  event: LoggedEvent;
  /** What went wrong beside any command: an error of the server without `id`, of `token()`, of the storage. */
  error: Error;
  [type: string]: any;
}

export interface GalaxyOptions {
  /** `ws:` or `wss:` address of `/v1/socket`. */
  url: string;
  /** Called for every connection, and to renew. Resolve with null to give up (state `closed`, code 3500). */
  token?: (reason: TokenReason) => string | null | Promise<string | null>;
  /** Without a token: a viewer without a name, where the server lets such viewers in. */
  anonymous?: boolean;
  /** The user's id, where known before the first connection: unsent messages show at once. */
  user?: string;
  /** Keeps unsent messages over reloads; default `localStorage`, null keeps none. */
  storage?: Storage | null;
  /** Unsent messages older than this wait for `outbox.retry` (default 20 h: the server knows keys for 24 h). */
  askAfterMs?: number;
  /** First and largest ceiling of the reconnection delay, which is `random() * ceiling` (500, 30,000). */
  backoffMs?: number;
  backoffMaxMs?: number;
  /** Silence until a `ping` (30,000), and how long its answer may take (10,000). */
  pingAfterMs?: number;
  pongWithinMs?: number;
  connectTimeoutMs?: number;
  commandTimeoutMs?: number;
  /** A connection that lived this long resets the backoff (10,000). */
  stableAfterMs?: number;
  /** How long a replaced connection may finish its commands (5,000). */
  drainMs?: number;
  random?: () => number;
  WebSocket?: typeof WebSocket;
}

export class GalaxyClient extends Emitter<ClientEvents> {
  constructor(options: GalaxyOptions);
  readonly state: ConnectionState;
  /** Milliseconds to the next attempt while `offline`, else null. */
  readonly retryInMs: number | null;
  readonly rooms: string[];
  readonly outbox: Outbox;
  welcome: Welcome | null;

  /** The server's clock, ms since the Unix epoch. */
  now(): number;
  start(): void;
  /** Ends the connection for good; unsent messages stay in the storage. */
  stop(): void;
  /** "The network may be back": retries at once, or checks that the connection lives. */
  nudge(): void;
  /** Resolves once there is a connection; rejects with `stopped`. */
  connected(): Promise<void>;

  /**
   * Sends a command, resolves with its `ok` reply, rejects with {@link GalaxyError}. With a `key` it is sent again
   * after a disconnection, with the same key, until answered; without, it rejects with `disconnected`.
   */
  request<Type extends keyof Replies>(type: Type, fields?: Record<string, unknown>): Promise<Replies[Type]>;
  request(type: string, fields?: Record<string, unknown>): Promise<OkReply>;
  /** As `request`, tried once on the present connection. */
  once(type: string, fields?: Record<string, unknown>): Promise<OkReply>;
  /** For `typing`, `read.mark`, `dwell.beat`: no reply, dropped while not connected. */
  notify(type: string, fields?: Record<string, unknown>): void;

  /** Listens to a room, over reconnections, until `leave` or `room.removed`. */
  join(room: string): Promise<JoinReply>;
  leave(room: string): void;

  /** Puts a message in the outbox. @throws {GalaxyError} `too_many` above 200 unsent messages */
  send(room: string, text: string, options?: { replyTo?: number }): OutboxEntry;
}

export interface OutboxEntry {
  key: string;
  room: string;
  text: string;
  reply_to?: number;
  created: number;
  /** `ask`: too old to be sent without asking; `failed`: see `error`. */
  state: "queued" | "sending" | "failed" | "ask";
  error?: GalaxyError;
  /** The outcome of the present attempt; `retry` starts another. */
  done: Promise<SendReply>;
}

export interface OutboxEvents {
  change: { room: string; entry: OutboxEntry };
  sent: { entry: OutboxEntry; reply: SendReply };
}

export class Outbox extends Emitter<OutboxEvents> {
  list(room?: string): OutboxEntry[];
  retry(key: string): void;
  /** False where the entry is being sent at this moment. */
  cancel(key: string): boolean;
}

/** 128 random bits for a command's `key`. */
export function newKey(): string;
