// What a teacher asks the relay that serves the page.
async function ask(path, method, word) {
  // A header holds Latin-1 only; a word with other letters is none that the relay could have been given here.
  const headers = { authorization: `Bearer ${word}` };
  const answer = await fetch(new URL(path, location.origin), { method, headers, cache: 'no-store' });
  if (!answer.ok && !(method === 'DELETE' && answer.status === 404)) {
    throw new Error((await answer.text()).trim() || `HTTP ${answer.status}`);
  }
  return answer;
}

// [how many are open, then of each [id, who, kind, asked for, target, octets up, octets down]]
export async function streams(word) {
  const { total, streams } = await (await ask('/teacher/streams', 'GET', word)).json();
  const row = (s) => [s.id, [s.who, s.address].filter(Boolean).join(' '), s.kind, s.host, s.target, s.octets_up, s.octets_down].map(String);
  return [total, ...streams.map(row)];
}

export async function cut(word, id) {
  await ask(`/teacher/streams/${encodeURIComponent(id)}`, 'DELETE', word);
}
