/** Version 1.2 of the officers' contract. Written by tools/contract.py; never by hand. */

/** Everything up to this `seq` is stored on this installation; said once more after each `welcome`. */
export interface Ack {
  kind: "ack";
  upto: number;
}

/** The shift a unit is on. */
export interface ActiveShift {
  id: string;
  on_at: string;
  members: string[];
}

/** A checklist for tasks of some kinds or for goods of some categories; `version` grows with each change. */
export interface AideMemoire {
  code: string;
  version: number;
  issued_on: string;
  task_kinds: string[];
  goods_categories: string[];
  title: Texts;
  warning: Texts | null;
  steps: Texts[];
}

/** All of them; `version` changes with any of them. */
export interface AideMemoires {
  version: string;
  items: AideMemoire[];
}

/** A file: `received` bytes of `size` arrived; `media_type` is what was sent until it is complete, then what it is. */
export interface Attachment {
  id: string;
  task_id: string | null;
  violation_id: string | null;
  stop_form_id: string | null;
  name: string;
  media_type: string | null;
  size: number;
  sha256: string;
  status: "receiving" | "complete" | "refused";
  refused: string | null;
  received: number;
  screen: boolean;
  width_px: number | null;
  height_px: number | null;
  captured_at: string | null;
  lon: number | null;
  lat: number | null;
  accuracy_m: number | null;
  created_by: string;
  created_at: string;
  completed_at: string | null;
}

/** A file to come, of exactly one of task, violation or stop form; time and place as the device knew them. */
export interface AttachmentIn {
  lon?: number | null;
  lat?: number | null;
  id: string;
  task_id?: string | null;
  violation_id?: string | null;
  stop_form_id?: string | null;
  name: string;
  media_type?: string | null;
  size: number;
  sha256: string;
  captured_at?: string | null;
  accuracy_m?: number | null;
}

/** Nothing more to tell than that what was told holds as of this moment. */
export interface Beat {
  at: string;
  kind: "beat";
  as_of: string;
}

/** The server closes the connection with this code. */
export interface Bye {
  at: string;
  kind: "bye";
  code: number;
  reason: string;
}

/** A piece of equipment (list `equipment` of the code lists) and how it was found. */
export interface Checked {
  item: string;
  state: "ok" | "missing" | "faulty";
}

/** Somebody who belongs to an own unit. */
export interface Colleague {
  id: string;
  name: string;
}

/** The company concerned. */
export interface Company {
  name: string;
  number?: string | null;
}

/** All pieces are sent. */
export interface CompleteIn {
  id?: string | null;
}

/** An installation asks whether it is shut out: 401 `install_revoked` if so, with `recovery` as at a sign-in. */
export interface ContactIn {
  credential: string;
}

/** The officer's units, and the phones that report for them while on shift. */
export interface DutySheet {
  units: UnitSheet[];
  phones: Phone[];
}

/** When a shift ended, and what the next crew must know. */
export interface EndIn {
  id?: string | null;
  at?: string | null;
  odometer_to_km?: number | null;
  handover_note?: string | null;
}

/** Whose second factor is to be set up. */
export interface FactorIn {
  login: string;
  password: string;
}

/** What an authenticator app is set up with, shown this once: by hand, or by the code with `uri` drawn in SVG. */
export interface FactorOut {
  secret: string;
  uri: string;
  uri_svg: string;
}

/** Something that looks wrong; the form was taken as it is. */
export interface FieldWarning {
  field: string;
  code: "plate_pattern" | "plate_letters" | "look_alike" | "container_pattern" | "check_digit" | "vin" | "future";
  detail: string;
}

/** The first message, within 5 s: who connects, and from where on. Browsers with a cookie leave out the token. */
export interface Hello {
  bbox?: [number, number, number, number] | null;
  kind: "hello";
  token?: string | null;
  ticket?: string | null;
  after?: number | null;
  install_id?: string | null;
}

/** The installation's cursor. */
export interface InboxAck {
  upto: number;
}

/** Everything up to `upto` is stored on this installation. */
export interface InboxAckIn {
  id?: string | null;
  install_id?: string | null;
  upto: number;
}

/** One thing owed to the caller; the body of a task is a Task, that of a notice a NoticeItem. */
export interface InboxItem {
  seq: number;
  event_id: string;
  kind: "task" | "notice" | "message" | "system";
  at: string;
  body: Record<string, unknown>;
}

/** The next items of the inbox, in order, without a gap. */
export interface InboxMessage {
  at: string;
  kind: "inbox";
  items: InboxItem[];
}

/** Items in order; `next` is null when they reach `head_seq`. */
export interface InboxPage {
  items: InboxItem[];
  next: number | null;
  head_seq: number;
}

/** An installation as its owner and administrators see it; `expires_at` moves on with each sign-in. */
export interface Install {
  id: string;
  user_id: string;
  login: string;
  user_name: string;
  name: string;
  has_pin: boolean;
  pin_locked: boolean;
  push_channel: string | null;
  created_at: string;
  used_at: string;
  expires_at: string;
  revoked_at: string | null;
  recovery: "none" | "allowed" | "received";
}

/** An installation to enrol: its own id, a name, and the PIN that will open sessions with it. */
export interface InstallIn {
  id: string;
  name: string;
  pin?: string | null;
  push?: PushTarget | null;
}

/** The installation's credential, answered once. */
export interface InstallOut {
  id: string;
  credential: string;
}

/** The signed-in person, their unit and shift of now, and what their roles give. */
export interface MeOut {
  id: string;
  login: string;
  name: string;
  roles: string[];
  office_id: string | null;
  unit_id: string | null;
  shift_id: string | null;
  has_factor: boolean;
  must_change_password: boolean;
  csrf_token: string;
  permissions: string[];
}

/** A message of a task's thread. `delivered_at`: the first tablet of the crew stored it (those of the centre). */
export interface Message {
  id: string;
  task_id: string;
  kind: "message" | "support";
  text: string;
  by: string | null;
  by_name: string;
  unit_id: string | null;
  from_centre: boolean;
  at: string;
  received_at: string;
  delivered_at: string | null;
}

/** A message about a task, by its crew or by the centre; `at` by the device's clock. */
export interface MessageIn {
  id?: string | null;
  text: string;
  at?: string | null;
}

/** A notice with every receipt and reply the caller may see. */
export interface Notice {
  id: string;
  number: number;
  kind: string;
  priority: "P1" | "P2" | "P3" | "P4";
  state: "sent" | "superseded" | "cancelled" | "expired";
  headline: string;
  body: string;
  instruction: string | null;
  valid_to: string | null;
  created_at: string;
  supersedes: string | null;
  superseded_by: string | null;
  addressed: Record<string, unknown>;
  created_by: string | null;
  cancelled_at: string | null;
  ended_at: string | null;
  ended_by_name: string | null;
  recipients: number;
  delivered: number;
  seen: number;
  acknowledged: number;
  unconfirmed: number;
  replied: number;
  receipts: Receipt[];
  replies: Reply[];
}

/** An acknowledgement of a notice; with `state` "cancelled" it confirms that the cancel was read. */
export interface NoticeAckIn {
  id?: string | null;
  at?: string | null;
  state?: "sent" | "cancelled";
}

/** A notice as its recipients get it. */
export interface NoticeItem {
  id: string;
  number: number;
  kind: string;
  priority: "P1" | "P2" | "P3" | "P4";
  state: "sent" | "superseded" | "cancelled" | "expired";
  headline: string;
  body: string;
  instruction: string | null;
  valid_to: string | null;
  created_at: string;
  supersedes: string | null;
  superseded_by: string | null;
}

/** The server's half of the key of what is stored on the device: 32 bytes in base64url, the same each time. */
export interface OfflineKey {
  offline_key: string;
  offline_until: string;
}

/** A reading of the device's own position. */
export interface OwnFix {
  fix_at: string;
  lat: number;
  lon: number;
  accuracy_m?: number | null;
  altitude_m?: number | null;
  speed_mps?: number | null;
  heading_deg?: number | null;
  battery_pct?: number | null;
}

/** Own positions during a shift, also of hours ago; sent again they change nothing. */
export interface OwnPositionsIn {
  fixes: OwnFix[];
}

/** What became of them; `off_duty` ones were dropped, `suspect` ones are among the accepted. */
export interface OwnPositionsOut {
  accepted: number;
  duplicates: number;
  off_duty: number;
  suspect: number;
}

/** An officer's start of a shift of an own unit, with the crew if not everyone starts for themselves. */
export interface OwnStartIn {
  id?: string | null;
  at?: string | null;
  unit_id: string;
  members?: string[];
  equipment_check?: Checked[];
  odometer_from_km?: number | null;
}

/** The alarm stands: the number of the task it became. */
export interface Panic {
  id: string;
  number: number;
  raised_at: string;
}

/** An officer in danger: the alarm of every dispatcher at once, on duty or not. The last good place, if known. */
export interface PanicIn {
  id: string;
  at?: string | null;
  lon?: number | null;
  lat?: number | null;
  accuracy_m?: number | null;
}

/** The old password and the new one. */
export interface PasswordIn {
  old: string;
  new: string;
}

/** A penalty imposed on the spot. */
export interface Penalty {
  kind: string;
  amount_eur: number;
}

/** A phone with a tracker app that is paired with the officer. */
export interface Phone {
  id: string;
  protocol: string;
  created_at: string;
  seen_at: string | null;
}

/** A tracker app to pair with. */
export interface PhoneIn {
  id?: string | null;
  app: "traccar" | "owntracks";
}

/** How to set the app up: by the code (an SVG) or by hand. The key is answered this once. */
export interface PhoneOut {
  id: string;
  app: "traccar" | "owntracks";
  server_url: string;
  key: string;
  code: string;
  code_svg: string;
}

/** A new PIN for the installation. In a session that a PIN opened it comes with the `old` one. */
export interface PinIn {
  pin: string;
  old?: string | null;
}

/** To be answered with the same number. */
export interface Ping {
  kind: "ping";
  n: number;
}

/** A GeoJSON point: lon, lat. */
export interface Point {
  type: "Point";
  coordinates: [number, number];
}

/** The answer to a ping. */
export interface Pong {
  at: string;
  kind: "pong";
  n: number;
}

/** What the app needs to ask for a push target; null when this server sends no push by that channel. */
export interface PushConfig {
  fcm: Record<string, string> | null;
  webpush: WebPushConfig | null;
}

/** Where the installation is woken from now on; null: nowhere. */
export interface PushIn {
  push: PushTarget | null;
}

/** What a browser's subscription seals its pushes with, as `PushSubscription.toJSON()` has it. */
export interface PushKeys {
  p256dh: string;
  auth: string;
}

/** All that a push holds: look into the inbox. Nothing of what is there, and of nobody. */
export interface PushPayload {
  kind: "inbox";
  v: "1";
}

/** Where a content-free wake-up may be sent; `keys` come with an endpoint of Web Push, and with nothing else. */
export interface PushTarget {
  channel: "fcm" | "webpush";
  target: string;
  target_kind: string;
  keys?: PushKeys | null;
}

/** Something that was not sent: the request it would have been, its body as text. */
export interface QueuedRecord {
  id?: string | null;
  method: "POST" | "PUT" | "PATCH" | "DELETE";
  path: string;
  at?: string | null;
  body: string;
}

/** What became of a notice for one person: `queued_at` is when it was put into their inbox. */
export interface Receipt {
  user_id: string;
  name: string;
  unit_id: string | null;
  queued_at: string;
  delivered_at: string | null;
  seen_at: string | null;
  acknowledged_at: string | null;
  cancel_confirmed_at: string | null;
  channel: string;
}

/** When an officer saw or acknowledged something, by the device's clock; now, unless said. */
export interface ReceiptIn {
  id?: string | null;
  at?: string | null;
}

/** What a revoked installation had not sent, as it stands in its outbox; taken once, when it was allowed. */
export interface RecoveryIn {
  credential: string;
  records: QueuedRecord[];
}

/** It is kept, apart from everything else. */
export interface RecoveryOut {
  received_at: string;
}

/** What a recipient answered: `at` by the device's clock, `received_at` by the server's. */
export interface Reply {
  id: string;
  user_id: string;
  name: string;
  unit_id: string | null;
  text: string;
  at: string;
  received_at: string;
}

/** What a recipient answers to a notice. */
export interface ReplyIn {
  id?: string | null;
  text: string;
  at?: string | null;
}

/** What was sent has a gap: a snapshot (or, on the inbox, everything from the beginning) follows. */
export interface Resync {
  at: string;
  kind: "resync";
  reason: "behind" | "unknown_seq";
}

/** A stop that an officer begins on their own observation: on scene from the start. */
export interface SelfTaskIn {
  lon: number;
  lat: number;
  id?: string | null;
  unit_id?: string | null;
  kind?: string;
  title?: string | null;
  reason_code: "officer_observation" | "random";
  reason?: string | null;
  at?: string | null;
  accuracy_m?: number | null;
}

/** Login and password, with the code of a second factor; or an installation's id and credential with its PIN. */
export interface SessionIn {
  login?: string | null;
  password?: string | null;
  code?: string | null;
  install_id?: string | null;
  credential?: string | null;
  pin?: string | null;
}

/** A new session; the token goes into `Authorization: Bearer`. `offline` comes with a session by PIN. */
export interface SessionOut {
  token: string;
  expires_at: string;
  user: UserBrief;
  offline?: OfflineKey | null;
}

/** A shift: planned window, and when it really began and ended. */
export interface Shift {
  id: string;
  unit_id: string;
  members: string[];
  from: string | null;
  to: string | null;
  on_at: string | null;
  off_at: string | null;
  equipment_check: Checked[];
  odometer_from_km: number | null;
  odometer_to_km: number | null;
  handover_note: string | null;
  version: number;
}

/** When a shift began or ended; now, unless said. */
export interface StartIn {
  id?: string | null;
  at?: string | null;
}

/** A recorded stop. `plate_key` is the plate as it is compared: no spaces, Cyrillic look-alikes as Latin letters. */
export interface StopForm {
  id: string;
  task_id?: string | null;
  officers?: string[];
  legal_base?: string | null;
  reason_code: string;
  grounds?: string;
  search_object?: string | null;
  first_stopped_at: string;
  lon: number;
  lat: number;
  accuracy_m?: number | null;
  coord_source: "gps" | "map" | "address" | "office";
  place_text?: string | null;
  searched_at?: string | null;
  searched_lon?: number | null;
  searched_lat?: number | null;
  ended_at?: string | null;
  vehicle?: Vehicle | null;
  persons?: StoppedPerson[];
  company?: Company | null;
  declaration_ref?: string | null;
  control_types?: string[];
  findings?: string;
  result: string;
  violation_ids?: string[];
  measures?: string[];
  no_seizure_reason?: string | null;
  other_measures?: string | null;
  penalties?: Penalty[];
  recommendation_followed?: boolean | null;
  recommendation_why_not?: string | null;
  injury_damage?: string | null;
  copy_given?: "yes" | "no" | "refused" | "electronic";
  remarks?: string | null;
  exercise?: boolean;
  number: number;
  unit_id: string | null;
  recorded_by: string;
  recorded_by_name: string;
  recorded_at: string;
  plate_key: string | null;
  attachments: number;
  warnings: FieldWarning[];
}

/** A stop or control as the officer records it. The place is the first stop's; `searched_*` only when it differs. */
export interface StopFormIn {
  id?: string | null;
  task_id?: string | null;
  officers?: string[];
  legal_base?: string | null;
  reason_code: string;
  grounds?: string;
  search_object?: string | null;
  first_stopped_at: string;
  lon: number;
  lat: number;
  accuracy_m?: number | null;
  coord_source: "gps" | "map" | "address" | "office";
  place_text?: string | null;
  searched_at?: string | null;
  searched_lon?: number | null;
  searched_lat?: number | null;
  ended_at?: string | null;
  vehicle?: Vehicle | null;
  persons?: StoppedPerson[];
  company?: Company | null;
  declaration_ref?: string | null;
  control_types?: string[];
  findings?: string;
  result: string;
  violation_ids?: string[];
  measures?: string[];
  no_seizure_reason?: string | null;
  other_measures?: string | null;
  penalties?: Penalty[];
  recommendation_followed?: boolean | null;
  recommendation_why_not?: string | null;
  injury_damage?: string | null;
  copy_given?: "yes" | "no" | "refused" | "electronic";
  remarks?: string | null;
  exercise?: boolean;
}

/** A person of the stop, by name or described; what they are to it, and whether that is fact, must be said. */
export interface StoppedPerson {
  role: "driver" | "passenger" | "owner" | "pedestrian" | "other";
  category: "suspect" | "convicted" | "victim" | "witness" | "other";
  basis: "fact" | "assessment";
  name?: string | null;
  description?: string | null;
  birth_date?: string | null;
  nationality?: string | null;
  document?: string | null;
}

/** A unit sent in support of a task: how it stands by its own steps, which do not move the task, and since when. */
export interface Support {
  unit_id: string;
  call_sign: string;
  status: "draft" | "issued" | "delivered" | "acknowledged" | "declined" | "unacknowledged" | "en_route" | "on_scene" | "paused" | "completed" | "failed" | "closed" | "cancelled" | "expired" | "discarded";
  since: string;
}

/** A call for another unit at the task's place, or where the officer is; the centre decides who comes. */
export interface SupportRequestIn {
  id?: string | null;
  capability?: string | null;
  priority?: "P1" | "P2" | "P3" | "P4";
  text?: string;
  at?: string | null;
  lon?: number | null;
  lat?: number | null;
  accuracy_m?: number | null;
}

/** A task. `version` counts decisions: a receipt (delivered, seen) does not raise it. */
export interface Task {
  id: string;
  number: number;
  kind: string;
  priority: "P1" | "P2" | "P3" | "P4";
  status: "draft" | "issued" | "delivered" | "acknowledged" | "declined" | "unacknowledged" | "en_route" | "on_scene" | "paused" | "completed" | "failed" | "closed" | "cancelled" | "expired" | "discarded";
  version: number;
  title: string;
  instruction: string;
  reason_code: string;
  reason: string | null;
  point: Record<string, unknown> | null;
  area: Record<string, unknown> | null;
  address: string | null;
  window_from: string | null;
  window_to: string | null;
  unit_id: string | null;
  unit_call_sign: string | null;
  support_unit_ids: string[];
  supports: Support[];
  required_capabilities: string[];
  exercise: boolean;
  late: boolean;
  ack_due_at: string | null;
  created_by: string | null;
  created_at: string;
  issued_at: string | null;
  delivered_at: string | null;
  seen_at: string | null;
  acknowledged_at: string | null;
  en_route_at: string | null;
  on_scene_at: string | null;
  completed_at: string | null;
  cancel_confirmed_at: string | null;
  result: string | null;
  messages: number;
  attachments: number;
  stop_forms: number;
  form_required: boolean;
  conflict: "open" | "cancel_stands" | "work_counts" | null;
}

/** One step in a task's history: `at` by the device's clock, `received_at` by the server's. */
export interface TaskEvent {
  id: string;
  verb: string;
  from_status: string | null;
  to_status: string;
  result: string;
  version: number;
  by: string | null;
  by_name: string;
  unit_id: string | null;
  at: string;
  received_at: string;
  lon: number | null;
  lat: number | null;
  accuracy_m: number | null;
  reason_code: string | null;
  reason: string | null;
  clock_off_s: number | null;
}

/** A text in both languages. */
export interface Texts {
  en: string;
  lt: string;
}

/** A ticket for one socket. */
export interface TicketOut {
  ticket: string;
  expires_at: string;
}

/** What became of a step: `superseded` and `conflict` are kept and shown, but moved nothing. */
export interface Transition {
  result: "applied" | "superseded" | "conflict";
  task: Task;
}

/** One step of a task. Dispatchers send `version`; officers' apps `id`, `at` (device time) and the place. */
export interface TransitionIn {
  lon?: number | null;
  lat?: number | null;
  id?: string | null;
  verb: "issue" | "reassign" | "pause" | "resume" | "cancel" | "close" | "return" | "discard" | "acknowledge" | "decline" | "en_route" | "on_scene" | "complete" | "fail";
  version?: number | null;
  unit_id?: string | null;
  at?: string | null;
  accuracy_m?: number | null;
  reason_code?: string | null;
  reason?: string | null;
  result?: string | null;
  override_reason?: string | null;
  divert?: boolean;
}

/** A unit; its position counts as stale from an age of `stale_after_s`. */
export interface Unit {
  id: string;
  call_sign: string;
  kind: string;
  capabilities: string[];
  tracking: "on_shift" | "always";
  office_id: string | null;
  members: string[];
  deputy_unit_id: string | null;
  status: string;
  version: number;
  stale_after_s: number;
  shift: ActiveShift | null;
}

/** What is needed to begin a shift of an own unit: its people, and whether it has a tracker of its own. */
export interface UnitSheet {
  unit_id: string;
  people: Colleague[];
  has_tracker: boolean;
  tracker_seen_at: string | null;
}

/** A person, shortly. */
export interface UserBrief {
  id: string;
  login: string;
  name: string;
  roles: string[];
}

/** The vehicle that was stopped; plates and containers as they were read, warnings come with the answer. */
export interface Vehicle {
  plate?: string | null;
  country?: string | null;
  vin?: string | null;
  make?: string | null;
  colour?: string | null;
  trailer_plate?: string | null;
  containers?: string[];
}

/** A violation as a GeoJSON feature. */
export interface Violation {
  type: "Feature";
  id: string;
  geometry: Point;
  properties: ViolationProperties;
}

/** A violation as its officer records it; unit and task are theirs. */
export interface ViolationIn {
  id?: string | null;
  category: string;
  occurred_at: string;
  lon: number;
  lat: number;
  accuracy_m?: number | null;
  coord_source: "gps" | "map" | "address" | "office" | "import";
  method?: string | null;
  goods_category?: string | null;
  quantity?: number | null;
  quantity_unit?: string | null;
  evaded_duties_eur?: number | null;
  note?: string | null;
  place_text?: string | null;
  plate?: string | null;
  task_id?: string | null;
}

/** A violation without its place. */
export interface ViolationProperties {
  id: string;
  category: string;
  occurred_at: string;
  recorded_at: string;
  accuracy_m: number | null;
  coord_source: string;
  in_area: boolean;
  method: string | null;
  goods_category: string | null;
  quantity: number | null;
  quantity_unit: string | null;
  evaded_duties_eur: number | null;
  note: string | null;
  place_text: string | null;
  plate: string | null;
  task_id: string | null;
  unit_id: string | null;
  recorded_by: string | null;
  source: string;
  external_id: string | null;
  version: number;
  corrected_at: string | null;
}

/** A page of violations as GeoJSON; `next` is a foreign member. */
export interface Violations {
  type?: "FeatureCollection";
  features: Violation[];
  next: string | null;
}

/** The `applicationServerKey` of `PushManager.subscribe()`. */
export interface WebPushConfig {
  public_key: string;
}

/** The connection stands. */
export interface Welcome {
  at: string;
  kind: "welcome";
  server_time: string;
  heartbeat_s: number;
}
