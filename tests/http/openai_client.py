"""What users of the openai package do, and what they see when it goes wrong. Run by openai_check."""
import asyncio, os, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))
import re
import openai
import local_cluster
import structured_client
from local_cluster import Cluster, expect, main, wait_until

PROMPT = 'Once upon a time there was a little girl'
MESSAGES = [{'role': 'user', 'content': 'Tell me a tale of a fox.'}]


def address(cluster, name='http'):
    return re.search(rf'^{name} (\S+)$', cluster.said(), re.M)[1]


def client(cluster, **options):
    return openai.OpenAI(base_url=f'http://{address(cluster)}/v1', **{'api_key': 'none', 'max_retries': 0, **options})


def refused(kind, ask):
    try: ask()
    except kind as error: return error
    raise local_cluster.Failed(f'expected {kind.__name__}')


def models_completions_and_chats():
    with Cluster() as c:
        api = client(c)
        model = api.models.list().data[0]
        expect(model.id == 'tales' and api.models.retrieve('tales').max_model_len == 2048, model)
        whole = api.completions.create(model=model.id, prompt=PROMPT, max_tokens=20, seed=2**40, temperature=0.7)
        again = api.completions.create(model=model.id, prompt=PROMPT, max_tokens=20, seed=2**40, temperature=0.7)
        expect(whole.choices[0].text == again.choices[0].text and whole.usage.completion_tokens == 20, whole)
        pieces = list(api.completions.create(model=model.id, prompt=PROMPT, max_tokens=20, seed=2**40, temperature=0.7, stream=True))
        expect(''.join(p.choices[0].text for p in pieces) == whole.choices[0].text, 'the stream differs')
        chat = api.chat.completions.create(model=model.id, messages=MESSAGES, max_completion_tokens=16, seed=1)
        expect(chat.choices[0].message.role == 'assistant' and chat.choices[0].message.content, chat)
        parts = [{'role': 'user', 'content': [{'type': 'text', 'text': MESSAGES[0]['content']}]}]
        chunks = list(api.chat.completions.create(model=model.id, messages=parts, max_completion_tokens=16, seed=1, stream=True, stream_options={'include_usage': True}))
        expect(''.join(k.choices[0].delta.content or '' for k in chunks if k.choices) == chat.choices[0].message.content, 'the stream differs')
        expect(chunks[-1].choices == [] and chunks[-1].usage == chat.usage, chunks[-1])
        expect(chunks[0].choices[0].delta.content, 'an empty first chunk')


def stops_choices_and_extras():
    with Cluster() as c:
        api = client(c)
        whole = api.completions.create(model='tales', prompt=PROMPT, max_tokens=40, temperature=0).choices[0].text
        word = whole.split()[5]
        cut = api.completions.create(model='tales', prompt=PROMPT, max_tokens=40, temperature=0, stop=[word]).choices[0]
        expect(cut.finish_reason == 'stop' and cut.text == whole.split(word)[0] and cut.stop_reason == word, cut)
        several = api.completions.create(model='tales', prompt=['The king', 'The fox'], n=2, max_tokens=5, seed=3, echo=True)
        expect([k.index for k in several.choices] == [0, 1, 2, 3] and several.choices[3].text.startswith('The fox'), several)
        extras = api.completions.create(model='tales', prompt=PROMPT, max_tokens=30, extra_body={'ignore_eos': True, 'min_tokens': 3, 'top_k': 5, 'min_p': 0.01, 'repetition_penalty': 1.1})
        expect(extras.usage.completion_tokens == 30, extras.usage)
        forced = api.completions.create(model='tales', prompt=PROMPT, max_tokens=3, logit_bias={'47': 100}, temperature=0)
        expect(forced.choices[0].text == ',,,', forced.choices[0].text)


def logprobs():
    with Cluster() as c:
        api = client(c)
        done = api.completions.create(model='tales', prompt=PROMPT, max_tokens=8, temperature=0, logprobs=3).choices[0]
        expect(''.join(done.logprobs.tokens) == done.text and len(done.logprobs.top_logprobs[0]) == 3, done.logprobs)
        expect(all(max(top.values()) == own for top, own in zip(done.logprobs.top_logprobs, done.logprobs.token_logprobs)), 'greedy is not the most probable')
        chat = api.chat.completions.create(model='tales', messages=MESSAGES, max_tokens=8, logprobs=True, top_logprobs=2, seed=1).choices[0]
        expect(b''.join(bytes(t.bytes) for t in chat.logprobs.content).decode() == chat.message.content, chat.logprobs)
        expect(all(len(t.top_logprobs) == 2 for t in chat.logprobs.content), 'alternatives')


def errors_are_its_own_exceptions():
    with Cluster('--max-num-requests', '1') as c:
        api = client(c)
        error = refused(openai.BadRequestError, lambda: api.completions.create(model='tales', prompt='a', temperature=-1))
        expect(error.param == 'temperature' and error.type == 'invalid_request_error' and 'temperature' in error.message, error)
        expect(refused(openai.NotFoundError, lambda: api.completions.create(model='other', prompt='a')).code == 'model_not_found', 'code')
        expect(refused(openai.NotFoundError, lambda: api.embeddings.create(model='tales', input='a')), 'embeddings')
        error = refused(openai.BadRequestError, lambda: api.chat.completions.create(model='tales', messages=[{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'http://127.0.0.1/x.png'}}]}]))
        expect(error.param == 'messages[0].content[0].type', error)
        error = refused(openai.BadRequestError, lambda: api.chat.completions.create(model='tales', messages=MESSAGES, functions=[{'name': 'f'}]))
        expect(error.code == 'unsupported_value' and error.param == 'functions', error)
        running = api.completions.create(model='tales', prompt=PROMPT, max_tokens=1900, stream=True, extra_body={'ignore_eos': True})
        next(iter(running))
        error = refused(openai.RateLimitError, lambda: api.completions.create(model='tales', prompt='a'))
        expect(int(error.response.headers['retry-after']) >= 1, error.response.headers)
        running.close()
        wait_until(lambda: c.pages_in_use() == 0, 10, 'a closed stream frees its pages')
    with tempfile.NamedTemporaryFile('w', suffix='.keys') as keys:
        keys.write('sk-of-the-check\n'); keys.flush()
        with Cluster('--api-key-file', keys.name) as c:
            refused(openai.AuthenticationError, lambda: client(c, api_key='sk-wrong').models.list())
            expect(client(c, api_key='sk-of-the-check').models.list().data, 'the key was refused')


def many_at_once_and_cancelled():
    async def work(c):
        api = openai.AsyncOpenAI(base_url=f'http://{address(c)}/v1', api_key='none', max_retries=0)
        async def one(i):
            text = ''
            async for piece in await api.completions.create(model='tales', prompt=PROMPT, max_tokens=30, seed=i, stream=True): text += piece.choices[0].text
            return text
        texts = await asyncio.gather(*(one(i % 4) for i in range(32)))
        expect(len(set(texts)) == 4, f'{len(set(texts))} different answers to 4 seeds')
        endless = asyncio.create_task(api.completions.create(model='tales', prompt=PROMPT, max_tokens=1900, extra_body={'ignore_eos': True}))
        await asyncio.sleep(0.3)
        endless.cancel()
        try: await endless
        except asyncio.CancelledError: pass
        await api.close()
    with Cluster() as c:
        asyncio.run(work(c))
        wait_until(lambda: c.pages_in_use() == 0, 10, 'a cancelled call frees its pages')


main([models_completions_and_chats, stops_choices_and_extras, logprobs, errors_are_its_own_exceptions, many_at_once_and_cancelled, *structured_client.TESTS])
