/**
 * The launch pages' script: proves by the platform's storage that this browser began the login.
 * What the server puts into the page, and what it expects back, is described in `web/launch.py`.
 * Everything here also works as plain HTML; without an answer the page offers a new window.
 */
type Binding = {
  step?: string;
  target?: string | null;
  origin?: string;
  key?: string;
  value?: string;
  next?: string;
  field?: string;
};
type Answer = { subject?: string; message_id?: string; value?: unknown; error?: unknown };

const PATIENCE = 1500;

const content = document.querySelector<HTMLMetaElement>('meta[name="atomic-guide-binding"]')?.content;
if (content) void bind(JSON.parse(content) as Binding);

async function bind(binding: Binding): Promise<void> {
  if (binding.step === 'store') await store(binding);
  else await prove(binding);
}

async function store(binding: Binding): Promise<void> {
  const { key = '', value = '' } = binding;
  await ask(binding, 'lti.put_data', { key, value });
  if (binding.next && /^https?:/.test(binding.next)) location.replace(binding.next);
}

async function prove(binding: Binding): Promise<void> {
  const form = document.querySelector<HTMLFormElement>('form#proof');
  const input = form?.elements.namedItem(binding.field ?? 'binding');
  if (!binding.target || !form || !(input instanceof HTMLInputElement)) return;
  show('#waiting', '#window');
  const answer = await ask(binding, 'lti.get_data', { key: binding.key ?? '' });
  if (typeof answer?.value === 'string' && answer.value !== '') {
    input.value = answer.value;
    form.submit();
  } else show('#window', '#waiting');
}

/** The platform's answer, or null after `PATIENCE` ms, or where it has no storage. */
function ask(binding: Binding, subject: string, data: Record<string, string>): Promise<Answer | null> {
  const { target, origin } = binding;
  const frame = target ? windowOf(target) : null;
  if (!frame || !origin) return Promise.resolve(null);
  const message = crypto.getRandomValues(new Uint32Array(2)).join('-');
  return new Promise((done) => {
    const finish = (answer: Answer | null): void => {
      window.removeEventListener('message', hear);
      clearTimeout(limit);
      done(answer);
    };
    const hear = (event: MessageEvent<Answer | null>): void => {
      const answer = event.data;
      const ours = event.origin === origin && answer?.message_id === message && answer.subject === `${subject}.response`;
      if (ours) finish(answer.error === undefined ? answer : null);
    };
    const limit = setTimeout(() => finish(null), PATIENCE);
    window.addEventListener('message', hear);
    // Only this origin may read the secret, whatever the frame shows meanwhile.
    frame.postMessage({ subject, message_id: message, ...data }, origin);
  });
}

function windowOf(target: string): Window | null {
  const outer = window.parent !== window ? window.parent : (window.opener as Window | null);
  if (!outer || target === '_parent') return outer;
  try {
    // Named access to a frame of another origin's page is allowed; anything else throws.
    return (outer.frames as unknown as Record<string, Window | undefined>)[target] ?? outer;
  } catch {
    return outer;
  }
}

function show(shown: string, hidden: string): void {
  document.querySelector(shown)?.removeAttribute('hidden');
  document.querySelector(hidden)?.setAttribute('hidden', '');
}
