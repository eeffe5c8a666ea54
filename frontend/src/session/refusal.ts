/** What the server refuses, in its one shape, and the ids under which something is asked once. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfter?: number,
    readonly details: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

/** The one shape of errors; a body in another shape (a proxy's page) keeps the status only. */
export async function refusalOf(answer: Response): Promise<Refused> {
  const after = Number.parseFloat(answer.headers.get('Retry-After') ?? '');
  let code = 'UNKNOWN';
  let message = answer.statusText;
  let details: Record<string, unknown> = {};
  try {
    const body = (await answer.json()) as { error?: { code?: string; message?: string; details?: typeof details } };
    code = body.error?.code ?? code;
    message = body.error?.message ?? message;
    details = body.error?.details ?? details;
  } catch {
    // not JSON
  }
  return new Refused(answer.status, code, message, Number.isFinite(after) ? after : undefined, details);
}

/** A random id of 128 bits; `crypto.randomUUID` is missing on plain http off loopback. */
export function identity(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
