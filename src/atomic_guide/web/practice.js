// The practice LMS's two pages: the one with the choices, and the one that posts the signed token.
const channel = new BroadcastChannel('atomic-guide-practice');
const told = document.querySelector('meta[name="atomic-guide-practice"]')?.content;
const launch = document.querySelector('form#launch');

if (told) {
  channel.postMessage(told);
  document.querySelector('form#answer').submit();
}

if (launch) {
  const frame = document.querySelector('iframe#course');
  const refuse = document.querySelector('form#refuse');
  const chosen = (name) => launch.elements.namedItem(name).value;

  const update = () => {
    const person = launch.querySelector('input[name=person]:checked').parentElement.querySelector('strong');
    document.querySelector('#go').textContent = `Launch as ${person.textContent}`;
    launch.target = chosen('where') === 'window' ? '_blank' : 'course';
    refuse.target = launch.target;
    refuse.elements.namedItem('course').value = chosen('course');
    refuse.elements.namedItem('person').value = chosen('person');
    document.querySelector('#code').textContent = refuse.querySelector('option:checked').dataset.code;
  };

  const show = (event) => {
    if (event.target.target !== 'course') return;
    frame.hidden = false;
    frame.scrollIntoView({ block: 'nearest' });
  };

  // The platform's storage (lti_storage_target): each tool reads what its own origin has put there, nothing else.
  const stored = new Map();
  const store = (event) => {
    const { subject, message_id, key, value } = event.data ?? {};
    if (event.source !== frame.contentWindow || typeof key !== 'string' || key.length > 200) return;
    const place = `${event.origin} ${key}`;
    if (subject === 'lti.put_data' && typeof value === 'string' && value.length <= 4096 && stored.size < 100) {
      stored.set(place, value);
    } else if (subject !== 'lti.get_data') return;
    const answer = { subject: `${subject}.response`, message_id, key, value: stored.get(place) };
    event.source.postMessage(answer, event.origin);
  };

  window.addEventListener('message', store);
  channel.onmessage = (event) => {
    document.querySelector('#none').hidden = true;
    for (const [name, value] of Object.entries(JSON.parse(event.data))) {
      const shown = document.querySelector(`pre#${name}`);
      shown.textContent = JSON.stringify(value, null, 2);
      shown.hidden = false;
      shown.previousElementSibling.hidden = false;
    }
  };

  launch.addEventListener('change', update);
  refuse.addEventListener('change', update);
  launch.addEventListener('submit', show);
  refuse.addEventListener('submit', show);
  update();
}
