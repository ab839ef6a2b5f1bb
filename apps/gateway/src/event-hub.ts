/**
 * Brings the events of tasks to all who follow them, on one Redis subscription, and with one look at a task per wake-up
 * however many follow it. A message only says that there is something to see: what is told comes from Redis, after the
 * last event that each follower has, so that nothing is left out or told twice.
 */
import { isTerminal, LIMITS, type ScanEvent, ScanmqError, type TaskRecord } from '@scanmq/contract';
import type { Logger } from '@scanmq/observability';
import { type EventPage, oneAtATime, type QueueSystem } from '@scanmq/queue';

export interface Follower {
  /** Called with each event as it is sent: the same text for all who follow the task. */
  send(event: SentEvent): void;
  /** Called now and then, so that whoever is between us and the client sees that the stream is alive. */
  beat(): void;
  /** No more comes: the task has ended, or is gone, or the gateway closes. */
  end(): void;
}

export interface SentEvent {
  readonly id: number;
  readonly type: ScanEvent['type'];
  /** JSON. */
  readonly data: string;
}

export interface EventHub {
  /**
   * Whether there is, or may come, anything after an event: not when the task has ended and its last change of state
   * was seen. @throws ScanmqError `not_found`.
   */
  hasMore(taskId: string, lastId: number | undefined): Promise<boolean>;
  /**
   * @param lastId of the last event that the follower has; undefined when it has none.
   * @returns ends following. The follower may have been ended before it returns.
   */
  follow(taskId: string, lastId: number | undefined, follower: Follower): () => void;
  /** Followers, of whatever task. */
  readonly streams: number;
  /** Tasks that somebody follows. */
  readonly topics: number;
  close(): void;
}

export interface EventHubDeps {
  readonly queue: QueueSystem;
  /** The task as it is shown. */
  readonly describe: (task: TaskRecord) => Promise<object>;
  readonly log: Logger;
}

/** Messages are not stored: while the subscription is being opened again, one may be missed. */
const LOOK_AGAIN_MS = 5_000;

interface Following {
  readonly follower: Follower;
  /** Of the last event that it has. */
  at: number;
  /** It has nothing yet: an incomplete history begins with a snapshot. */
  fresh: boolean;
}

interface Topic {
  readonly followings: Set<Following>;
  readonly look: () => Promise<void>;
}

export async function createEventHub(deps: EventHubDeps): Promise<EventHub> {
  const { queue, log } = deps;
  const topics = new Map<string, Topic>();
  let closed = false;

  function topicOf(taskId: string): Topic {
    const known = topics.get(taskId);
    if (known) return known;
    const followings = new Set<Following>();
    const topic = { followings, look: oneAtATime(() => look(deps, taskId, followings)) };
    topics.set(taskId, topic);
    return topic;
  }

  function wake(taskId: string): void {
    topics
      .get(taskId)
      ?.look()
      // Redis is away: the next look tells what this one did not
      .catch((error: unknown) =>
        log.debug({ event: 'events.look_failed', task_id: taskId, err: error }, 'could not look for events'),
      );
  }

  const stopListening = await queue.listenEvents(({ task_id: taskId }) => wake(taskId));
  const looks = setInterval(() => {
    for (const taskId of topics.keys()) wake(taskId);
  }, LOOK_AGAIN_MS);
  const beats = setInterval(() => {
    for (const { followings } of topics.values()) for (const { follower } of followings) follower.beat();
  }, LIMITS.eventHeartbeatMs);

  return {
    async hasMore(taskId, lastId) {
      const page = await queue.events.after(taskId, lastId ?? 0);
      if (!page) throw new ScanmqError('not_found', `There is no task ${taskId.slice(0, 80)}.`);
      return (
        lastId === undefined || !page.reaches(lastId) || !hasEnded(page) || lastState(page) !== undefined
      );
    },
    follow(taskId, lastId, follower) {
      if (closed) {
        follower.end();
        return () => undefined;
      }
      const topic = topicOf(taskId);
      const following = { follower, at: lastId ?? 0, fresh: lastId === undefined };
      topic.followings.add(following);
      wake(taskId);
      return () => {
        topic.followings.delete(following);
        if (topic.followings.size === 0 && topics.get(taskId) === topic) topics.delete(taskId);
      };
    },
    get streams() {
      return [...topics.values()].reduce((sum, { followings }) => sum + followings.size, 0);
    },
    get topics() {
      return topics.size;
    },
    close() {
      closed = true;
      clearInterval(looks);
      clearInterval(beats);
      stopListening();
      for (const { followings } of [...topics.values()])
        for (const { follower } of [...followings]) follower.end();
    },
  };
}

/** Gives each follower what it does not have yet, and ends those for whom no more comes. */
async function look(
  { queue, describe }: EventHubDeps,
  taskId: string,
  followings: ReadonlySet<Following>,
): Promise<void> {
  // those that come while we look get a look of their own: what is asked for now may begin too late for them
  const present = [...followings];
  if (present.length === 0) return;
  const page = await queue.events.after(taskId, Math.min(...present.map(({ at }) => at)));
  if (!page) {
    for (const { follower } of present) follower.end();
    return;
  }
  const behind = present.filter((one) => !isComplete(page, one));
  const found = behind.length === 0 ? undefined : await queue.tasks.withPosition(taskId);
  const snapshot = found && {
    id: found.position,
    type: 'snapshot' as const,
    data: JSON.stringify(await describe(found.task)),
  };
  const events = page.events.map(
    ({ id, type, data }): SentEvent => ({ id, type, data: JSON.stringify(data) }),
  );
  for (const one of present) {
    if (!followings.has(one)) continue;
    if (snapshot && behind.includes(one)) tell(one, snapshot);
    for (const event of events) if (event.id > one.at) tell(one, event);
    if (hasEnded(page)) one.follower.end();
  }
}

function tell(following: Following, event: SentEvent): void {
  following.at = event.id;
  following.fresh = false;
  following.follower.send(event);
}

function isComplete(page: EventPage, { at, fresh }: Following): boolean {
  // a history that is told from its beginning must have one
  return page.reaches(at) && !(fresh && page.events[0]?.id !== 1);
}

/** By its last change of state, where the page has one: a retry may have come after the look at the state. */
function hasEnded(page: EventPage): boolean {
  return isTerminal(lastState(page) ?? page.state);
}

function lastState(page: EventPage): EventPage['state'] | undefined {
  return page.events.findLast((event) => event.type === 'state')?.data.status;
}
