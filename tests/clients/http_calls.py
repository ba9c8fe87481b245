"""What the checks of clients share: HTTP by hand, free ports, and addresses that a cluster has told."""
import http.client, json, re, socket

MESSAGES = [{'role': 'user', 'content': 'Tell me a tale of a fox.'}]
PROMPT = 'Once upon a time there was a little girl'


def address(cluster, name='http'):
    return re.search(rf'^{name} (\S+)$', cluster.said(), re.M)[1]


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Http:
    """Calls of one HOST:PORT, each on a connection of its own."""

    def __init__(self, host_port):
        self.host_port = host_port

    def call(self, method, path, body=None, timeout=60):
        """(status, the JSON of the answer or its text)."""
        connection, answer = self._ask(method, path, body, timeout)
        text = answer.read().decode()
        connection.close()
        try: return answer.status, json.loads(text)
        except ValueError: return answer.status, text

    def open(self, path, body, timeout=60):
        """A stream that has begun: (connection, the answer to read from)."""
        return self._ask('POST', path, {**body, 'stream': True}, timeout)

    def events(self, path, body, timeout=60):
        """The data of all events of a stream, [DONE] left out, which must be the last."""
        connection, answer = self.open(path, body, timeout)
        lines = [line[6:] for line in answer.read().decode().splitlines() if line.startswith('data: ')]
        connection.close()
        if answer.status != 200 or not lines or lines[-1] != '[DONE]': raise AssertionError(f'{answer.status}: {lines[-2:]}')
        return [json.loads(line) for line in lines[:-1]]

    def _ask(self, method, path, body, timeout):
        connection = http.client.HTTPConnection(self.host_port, timeout=timeout)
        connection.request(method, path, json.dumps(body) if body is not None else None, {'Content-Type': 'application/json'})
        return connection, connection.getresponse()
