/** What each route needs, in one table. A route that is not in it is for administrators: closed, until somebody has thought about it. */
import type { Permission } from '@scanmq/contract';

export interface RouteRule {
  /** `open`: for whoever can reach the gateway. */
  readonly needs: Permission | 'open';
  /** Counts as a change, and stands in the audit log; by its method when left out. */
  readonly changes?: boolean;
  /** Of an open route: whoever shows who they are is told more. */
  readonly tellsMore?: boolean;
}

const open: RouteRule = { needs: 'open' };
const needs = (permission: Permission): RouteRule => ({ needs: permission });
/** A question that is too long for an address. */
const asks = (permission: Permission): RouteRule => ({ needs: permission, changes: false });

const API = '/api/v1';

const RULES: Readonly<Record<string, RouteRule>> = {
  // whoever watches over the service has no key; what they tell is no secret
  'GET /health': { needs: 'open', tellsMore: true },
  'GET /health/live': open,
  'GET /health/ready': open,
  'GET /login': open,
  'POST /login': { needs: 'open', changes: false },
  'POST /logout': { needs: 'open', changes: false },
  'GET /.well-known/oauth-protected-resource': open,
  'GET /.well-known/oauth-protected-resource/mcp': open,

  'GET /metrics': needs('metrics:read'),
  'GET /openapi.json': needs('docs:read'),
  'GET /docs': needs('docs:read'),
  // each tool has its own permission, its own limit and its own entry in the audit log
  'GET /mcp': asks('scans:read'),
  'DELETE /mcp': asks('scans:read'),
  'POST /mcp': asks('scans:read'),

  [`POST ${API}/scans`]: needs('scans:submit'),
  [`GET ${API}/scans`]: needs('scans:read'),
  [`GET ${API}/scans/:id`]: needs('scans:read'),
  [`GET ${API}/scans/:id/events`]: needs('scans:read'),
  [`POST ${API}/scans/:id/cancel`]: needs('scans:control'),
  [`POST ${API}/scans/:id/pause`]: needs('scans:control'),
  [`POST ${API}/scans/:id/resume`]: needs('scans:control'),
  [`POST ${API}/scans/:id/retry`]: needs('scans:control'),
  [`GET ${API}/scans/:id/findings`]: needs('results:read'),
  [`GET ${API}/scans/:id/findings/:findingId`]: needs('results:read'),
  [`GET ${API}/scans/:id/hosts`]: needs('results:read'),
  [`GET ${API}/scans/:id/gate`]: needs('results:read'),
  [`POST ${API}/scans/:id/gate`]: asks('results:read'),
  [`GET ${API}/scans/:id/report`]: needs('results:read'),
  [`GET ${API}/scans/:id/export`]: needs('results:read'),
  [`GET ${API}/scans/:head/compare/:base`]: needs('results:read'),
  [`GET ${API}/findings`]: needs('results:read'),
  [`POST ${API}/imports`]: needs('imports:write'),

  [`GET ${API}/pools`]: needs('fleet:read'),
  [`GET ${API}/pools/:pool`]: needs('fleet:read'),
  [`GET ${API}/queues/:pool`]: needs('fleet:read'),
  [`GET ${API}/scanners`]: needs('fleet:read'),
  [`POST ${API}/scanners/:instance/enable`]: needs('scanners:operate'),
  [`POST ${API}/scanners/:instance/disable`]: needs('scanners:operate'),
  [`POST ${API}/scanners/:instance/drain`]: needs('scanners:operate'),

  [`GET ${API}/dead-letters`]: needs('dead-letters:read'),
  [`GET ${API}/dead-letters/:id`]: needs('dead-letters:read'),
  [`POST ${API}/dead-letters/retry`]: needs('dead-letters:change'),
  [`POST ${API}/dead-letters/discard`]: needs('dead-letters:change'),
  [`POST ${API}/dead-letters/:id/retry`]: needs('dead-letters:change'),
  [`DELETE ${API}/dead-letters/:id`]: needs('dead-letters:change'),

  [`GET ${API}/schedules`]: needs('schedules:read'),
  [`GET ${API}/schedules/:id`]: needs('schedules:read'),
  [`POST ${API}/schedules`]: needs('schedules:change'),
  [`POST ${API}/schedules/:id/pause`]: needs('schedules:change'),
  [`POST ${API}/schedules/:id/resume`]: needs('schedules:change'),
  [`POST ${API}/schedules/:id/run`]: needs('schedules:change'),
  [`DELETE ${API}/schedules/:id`]: needs('schedules:change'),

  [`GET ${API}/webhooks`]: needs('webhooks:read'),
  [`GET ${API}/webhooks/:id`]: needs('webhooks:read'),
  [`GET ${API}/webhooks/:id/deliveries`]: needs('webhooks:read'),
  [`POST ${API}/webhooks`]: needs('webhooks:change'),
  [`DELETE ${API}/webhooks/:id`]: needs('webhooks:change'),
  [`POST ${API}/webhooks/:id/enable`]: needs('webhooks:change'),
  [`POST ${API}/webhooks/:id/test`]: needs('webhooks:change'),
  [`POST ${API}/webhooks/:id/deliveries/:delivery_id/replay`]: needs('webhooks:change'),

  [`GET ${API}/credentials`]: needs('credentials:read'),
  [`POST ${API}/credentials`]: needs('credentials:manage'),
  [`DELETE ${API}/credentials/:name`]: needs('credentials:manage'),
  [`POST ${API}/housekeeping`]: needs('housekeeping:run'),
};

/** Below these, routes belong to libraries. */
const BELOW: readonly [string, RouteRule, RouteRule][] = [
  ['/dashboard', needs('dashboard:read'), needs('dashboard:change')],
  ['/docs/', needs('docs:read'), needs('docs:read')],
];

const ADMINISTRATORS: RouteRule = needs('keys:manage');

/** @param url of the route, with the names of its parameters; undefined where there is no such route. */
export function ruleOf(method: string, url: string | undefined): RouteRule {
  return listedRule(method, url) ?? ADMINISTRATORS;
}

/** The rule of a route that somebody has thought about. */
export function listedRule(method: string, url: string | undefined): RouteRule | undefined {
  if (url === undefined) return undefined;
  const asked = method === 'HEAD' ? 'GET' : method;
  const exact = RULES[`${asked} ${url}`];
  if (exact) return exact;
  const below = BELOW.find(([prefix]) => url.startsWith(prefix));
  return below && (asked === 'GET' ? below[1] : below[2]);
}
