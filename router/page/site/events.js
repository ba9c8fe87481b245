// Server-sent events from a fetched answer. fetch, unlike EventSource, can send a key.

export async function* readEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '', name = '', data = [];
  for (;;) {
    const {value, done} = await reader.read();
    if (done) return;
    const lines = (rest + value).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        if (data.length) yield {name, data: data.join('\n')};
        name = '';
        data = [];
      } else if (line.startsWith('data: ')) data.push(line.slice(6));
      else if (line.startsWith('event: ')) name = line.slice(7);
      else if (line.startsWith(':')) yield {name: 'pulse', data: ''};
    }
  }
}
