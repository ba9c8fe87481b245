import json
from locust import HttpUser, task

BODY = {'model': 'tales', 'prompt': 'Once upon a time', 'max_tokens': 16, 'ignore_eos': True}


class Reader(HttpUser):
    @task
    def plain(self):
        with self.client.post('/v1/completions', json=BODY, name='plain', catch_response=True) as answer:
            if answer.status_code != 200 or answer.json()['usage']['completion_tokens'] != 16: answer.failure(answer.text[:200])

    @task
    def streamed(self):
        with self.client.post('/v1/completions', json={**BODY, 'stream': True, 'stream_options': {'include_usage': True}}, name='streamed', stream=True, catch_response=True) as answer:
            data = [line[6:] for line in answer.iter_lines() if line.startswith(b'data: ')]
            if answer.status_code != 200 or data[-1:] != [b'[DONE]'] or json.loads(data[-2])['usage']['completion_tokens'] != 16: answer.failure(str(data[-2:])[:200])
