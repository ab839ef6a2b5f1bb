/**
 * Against requests that another page makes in the name of whoever is logged in (CSRF). The cookie is SameSite=Strict
 * already; what is left are pages of the same site (another port, another subdomain) and old browsers.
 *
 * A token in each form would need a script in Bull Board's pages, which are not ours. Every browser says with a change
 * where it comes from: `Sec-Fetch-Site` (all since 2023; no page can set it), or at least `Origin`. One that says
 * neither is no browser, and has no business with a cookie.
 */
export interface RequestOrigin {
  readonly method: string;
  /** `Sec-Fetch-Site` */
  readonly site: string | undefined;
  /** `Origin` */
  readonly origin: string | undefined;
  /** Host and port that the request was sent to. */
  readonly host: string | undefined;
}

const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Whether a request changes something. */
export function isChanging(method: string): boolean {
  return !SAFE.has(method);
}

/**
 * Where the request comes from: our own pages, another's, or nobody says.
 * @param publicUrl origin of our own pages where a proxy may change the host.
 */
export function originOf(
  { site, origin, host }: Omit<RequestOrigin, 'method'>,
  publicUrl: string | undefined,
): 'own' | 'foreign' | 'untold' {
  if (site !== undefined) return site === 'same-origin' ? 'own' : 'foreign';
  if (origin === undefined) return 'untold';
  if (!URL.canParse(origin)) return 'foreign';
  const from = new URL(origin);
  if (publicUrl !== undefined && from.origin === publicUrl) return 'own';
  // by the host: a proxy that ends TLS makes http of https
  return host !== undefined && from.host === host ? 'own' : 'foreign';
}

/** Whether a session may be used for this request. */
export function sessionMayAct(request: RequestOrigin, publicUrl: string | undefined): boolean {
  return !isChanging(request.method) || originOf(request, publicUrl) === 'own';
}
