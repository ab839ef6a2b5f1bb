/** Plans of scans: what would happen, and whether somebody has to agree first. */
import { createHash } from 'node:crypto';
import type { Settings } from '@scanmq/config';
import {
  asTarget,
  isEmptySet,
  LIMITS,
  type Principal,
  parseTargets,
  ScanmqError,
  type ScanPlan,
  type ScanRequest,
  setCoversAddresses,
  setHasName,
  type Target,
  targetHostCount,
  targetSet,
} from '@scanmq/contract';
import { type AcceptDeps, namesOf, resolveNames } from '@scanmq/processor';
import { EncryptJWT, jwtDecrypt } from 'jose';
import { admitFor } from './access/admit-for.js';
import type { ScanService } from './scan-service.js';
import { ConfirmationRequiredError } from './tools/confirmation.js';

export interface PlanServiceDeps extends AcceptDeps {
  readonly scans: Pick<ScanService, 'queueStatus'>;
  readonly settings: Pick<Settings, 'confirmAboveHosts' | 'confirmOutsideNetworks'>;
  readonly now: () => Date;
}

export interface PlanService {
  /** Submits nothing. A scan that policy forbids is a plan that says so. @throws InvalidRequestError for targets that are none. */
  plan(request: ScanRequest, principal: Principal): Promise<ScanPlan>;
  /**
   * Lets a scan pass that needs no confirmation, or has one.
   * @throws ConfirmationRequiredError
   */
  confirm(request: ScanRequest, principal: Principal, planToken: string | undefined): Promise<void>;
}

/** Targets that a plan lists one by one. */
const LISTED = 20;
/** Addresses listed of a name. */
const ADDRESSES = 8;
const ALGORITHM = { alg: 'dir', enc: 'A256GCM' } as const;

interface ResolvedTarget {
  readonly target: Target;
  /** Of a name. */
  readonly addresses: readonly string[];
}

export function createPlanService(deps: PlanServiceDeps): PlanService {
  const { confirmAboveHosts } = deps.settings;
  const usual = targetSet(deps.settings.confirmOutsideNetworks);
  let secret: Promise<Buffer> | undefined;
  const key = async (): Promise<Buffer> => {
    secret ??= deps.queue.planSecret();
    try {
      return await secret;
    } catch (error) {
      secret = undefined;
      throw error;
    }
  };

  const resolve = async (targets: readonly Target[]): Promise<ResolvedTarget[]> => {
    const known = await resolveNames(namesOf(targets), deps.policy.resolve);
    return targets.map((target) => ({ target, addresses: known.get(target.text)?.addresses ?? [] }));
  };

  function isUsual({ target, addresses }: ResolvedTarget): boolean {
    if (target.kind !== 'name') return setCoversAddresses(usual, target);
    if (setHasName(usual, target.text)) return true;
    const found = addresses.map(asTarget);
    return (
      found.length > 0 &&
      found.every((address) => address !== undefined && setCoversAddresses(usual, address))
    );
  }

  function whyConfirm(resolved: readonly ResolvedTarget[]): string[] {
    const reasons: string[] = [];
    const hosts = hostCount(resolved);
    if (confirmAboveHosts > 0 && hosts > confirmAboveHosts)
      reasons.push(`it covers ${hosts} hosts, more than the ${confirmAboveHosts} that need no confirmation`);
    if (!isEmptySet(usual)) {
      const outside = resolved.filter((one) => !isUsual(one));
      if (outside.length > 0)
        reasons.push(`${outside.length} of its targets lie outside the networks that are usually scanned`);
    }
    return reasons;
  }

  async function seal(digest: string, principal: string, expiresAt: Date): Promise<string> {
    return await new EncryptJWT({ plan: digest })
      .setProtectedHeader(ALGORITHM)
      .setSubject(principal)
      .setIssuedAt(deps.now())
      .setExpirationTime(expiresAt)
      .encrypt(await key());
  }

  async function opens(token: string, digest: string, principal: string): Promise<boolean> {
    const opened = await jwtDecrypt(token, await key(), {
      subject: principal,
      currentDate: deps.now(),
      requiredClaims: ['exp'],
    }).catch(() => undefined);
    return opened?.payload.plan === digest;
  }

  const expiry = (): Date => new Date(deps.now().getTime() + LIMITS.planSeconds * 1_000);

  return {
    async plan(request, principal) {
      const targets = parseTargets(request.targets);
      const resolved = await resolve(targets);
      const placed = await admitFor(deps, principal, request).catch((error: unknown) => {
        if (error instanceof ScanmqError && error.code !== 'invalid_request') return error;
        throw error;
      });
      const refusal = placed instanceof ScanmqError ? placed : undefined;
      const pool = placed instanceof ScanmqError ? undefined : placed.pool;
      const load = pool === undefined ? undefined : await deps.scans.queueStatus(pool);
      const pace = pool === undefined ? undefined : await deps.queue.pace(pool);
      const reasons = refusal ? [] : whyConfirm(resolved);
      const expiresAt = expiry();
      const token =
        reasons.length > 0 ? await seal(digestOf(request, resolved), principal.name, expiresAt) : null;
      const tool = request.scan_type === 'untrusted' ? 'run_untrusted_scan' : 'run_authenticated_scan';
      return {
        allowed: refusal === undefined,
        reason: refusal?.message ?? null,
        targets: resolved.slice(0, LISTED).map(({ target, addresses }) => ({
          target: target.text,
          hosts: hosts(target),
          ...(target.kind === 'name' ? { addresses: addresses.slice(0, ADDRESSES) } : {}),
        })),
        targets_total: targets.length,
        host_count: hostCount(resolved),
        scan_type: request.scan_type,
        scanner_pool: pool ?? null,
        scanner_instance: placed instanceof ScanmqError ? null : (placed.pinnedInstance ?? null),
        scans_waiting: load?.queue_depth ?? null,
        estimated_wait_minutes: load?.estimated_wait_minutes ?? null,
        typical_duration_minutes:
          pace?.typicalMs === undefined ? null : Math.round(pace.typicalMs / 6_000) / 10,
        confirmation_required: reasons.length > 0,
        confirmation_reasons: reasons,
        plan_token: token,
        expires_at: token === null ? null : expiresAt.toISOString(),
        next: refusal
          ? 'Change the request as reason says, and plan it again.'
          : token === null
            ? `Call ${tool} with the same arguments.`
            : `Tell the user the targets and host_count. If they agree, call ${tool} with the same arguments and plan_token.`,
      };
    },

    async confirm(request, principal, planToken) {
      const resolved = await resolve(parseTargets(request.targets));
      const reasons = whyConfirm(resolved);
      if (reasons.length === 0) return;
      const digest = digestOf(request, resolved);
      if (planToken !== undefined && (await opens(planToken, digest, principal.name))) return;
      // what is forbidden anyway is nothing to ask anybody about
      await admitFor(deps, principal, request);
      const why =
        planToken === undefined
          ? `This scan has to be confirmed: ${reasons.join('; ')}.`
          : 'The plan_token does not fit: it is older than ten minutes, of another request, or its names lead elsewhere now.';
      throw new ConfirmationRequiredError(
        why,
        'Call plan_scan with the same arguments, show the plan to the user, and repeat this call with its plan_token.',
        `Scan ${hostCount(resolved)} hosts (${request.scan_type})? ${describe(resolved)} Reason for asking: ${reasons.join('; ')}.`,
        await seal(digest, principal.name, expiry()),
      );
    },
  };
}

function hosts(target: Target): number {
  return Number(targetHostCount(target));
}

function hostCount(resolved: readonly ResolvedTarget[]): number {
  return resolved.reduce((sum, { target }) => sum + hosts(target), 0);
}

function describe(resolved: readonly ResolvedTarget[]): string {
  const shown = resolved
    .slice(0, LISTED)
    .map(({ target, addresses }) =>
      addresses.length > 0 ? `${target.text} (${addresses.slice(0, ADDRESSES).join(', ')})` : target.text,
    );
  const more = resolved.length - shown.length;
  return `Targets: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}.`;
}

/** What a plan is for: when any of it has changed, it is another plan. Names of the scan may change, and secrets stay out. */
function digestOf(request: ScanRequest, resolved: readonly ResolvedTarget[]): string {
  return createHash('sha256')
    .update(
      JSON.stringify([
        resolved.map(({ target, addresses }) => [target.text, [...addresses].sort()]),
        request.scan_type,
        request.scanner_pool ?? null,
        request.scanner_instance ?? null,
        request.template,
        request.credential_ref ?? null,
      ]),
    )
    .digest('base64url');
}
