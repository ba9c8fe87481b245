"""Structured output and tools through the openai package, on a model that speaks nonsense: whatever is valid, the constraint made so.
Documents are judged by the package jsonschema. Run by openai_check."""
import concurrent.futures, json, os, re, shutil, sys, tempfile
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))
import jsonschema, openai, pydantic
import local_cluster
from local_cluster import Cluster, TALES, expect, wait_until

MESSAGES = [{'role': 'user', 'content': 'Tell me of the fox.'}]
WORD = {'type': 'string', 'maxLength': 10}
SCHEMAS = {
    'person': {'type': 'object', 'properties': {'name': WORD, 'age': {'type': 'integer', 'minimum': 0, 'maximum': 130}, 'email': {'anyOf': [WORD, {'type': 'null'}]}},
               'required': ['name', 'age'], 'additionalProperties': False},
    'list': {'type': 'array', 'items': {'enum': ['fox', 'hen', 7, None]}, 'minItems': 2, 'maxItems': 5},
    'tree': {'$defs': {'node': {'type': 'object', 'properties': {'name': WORD, 'children': {'type': 'array', 'items': {'$ref': '#/$defs/node'}, 'maxItems': 2}},
                                'required': ['name'], 'additionalProperties': False}}, '$ref': '#/$defs/node'},
    'shape': {'oneOf': [{'type': 'object', 'properties': {'kind': {'const': 'circle'}, 'r': {'type': 'number', 'minimum': 0}}, 'required': ['kind', 'r'], 'additionalProperties': False},
                        {'type': 'object', 'properties': {'kind': {'const': 'box'}, 'sides': {'type': 'array', 'items': {'type': 'integer'}, 'minItems': 2, 'maxItems': 2}},
                         'required': ['kind', 'sides'], 'additionalProperties': False}]},
    'open': {'type': 'object', 'properties': {'id': {'type': 'integer', 'exclusiveMinimum': 99, 'maximum': 999}}, 'required': ['id'], 'additionalProperties': {'type': 'boolean'}},
    'word': {'type': 'string', 'minLength': 3, 'maxLength': 20},
}
TOOLS = [{'type': 'function', 'function': {'name': 'get_weather', 'description': 'The weather of a city.', 'strict': True,
                                           'parameters': {'type': 'object', 'properties': {'city': WORD, 'days': {'type': 'integer', 'minimum': 1, 'maximum': 9}},
                                                          'required': ['city', 'days'], 'additionalProperties': False}}},
         {'type': 'function', 'function': {'name': 'get_time', 'parameters': {'type': 'object', 'properties': {'zone': {'type': 'string', 'maxLength': 5, 'pattern': '^[A-Z]+$'}}}}},
         {'type': 'function', 'function': {'name': 'stop', 'parameters': {'type': 'object', 'properties': {}, 'additionalProperties': False}}}]
PARAMETERS = {t['function']['name']: t['function']['parameters'] for t in TOOLS}
# V3.1's form of a conversation, tools included, in this repository's own words.
TEMPLATE = ("{{ bos_token }}{% for m in messages if m['role'] == 'system' %}{{ m['content'] }}{% endfor %}{% for m in messages %}{% if m['role'] == 'user' %}<｜User｜>{{ m['content'] }}"
            "<｜Assistant｜></think>{% elif m['role'] == 'tool' %}<｜tool▁output▁begin｜>{{ m['content'] }}<｜tool▁output▁end｜>{% elif m['role'] == 'assistant' %}{% if 'tool_calls' in m %}"
            "<｜tool▁calls▁begin｜>{% for tool in m['tool_calls'] %}<｜tool▁call▁begin｜>{{ tool['function']['name'] }}<｜tool▁sep｜>{{ tool['function']['arguments'] }}<｜tool▁call▁end｜>{% endfor %}"
            "<｜tool▁calls▁end｜>{{ eos_token }}{% else %}{{ m['content'] }}{{ eos_token }}{% endif %}{% endif %}{% endfor %}")


def client(cluster, **options):
    found = re.search(r'^http (\S+)$', cluster.said(), re.M)[1]
    return openai.OpenAI(base_url=f'http://{found}/v1', api_key='none', max_retries=0, **options)


def format_of(schema):
    return {'type': 'json_schema', 'json_schema': {'name': 'answer', 'strict': True, 'schema': schema}}


def ask(api, **fields):
    return api.chat.completions.create(model='tales', messages=MESSAGES, **{'max_completion_tokens': 300, **fields})


def refused(ask_it):
    try: ask_it()
    except openai.BadRequestError as error: return error
    raise local_cluster.Failed('expected BadRequestError')


def every_document_is_valid():
    with Cluster() as c:
        api = client(c)
        jobs = [(name, seed) for name in SCHEMAS for seed in range(40)]

        def one(job):
            name, seed = job
            return job, ask(api, response_format=format_of(SCHEMAS[name]), seed=seed, temperature=1.0).choices[0]
        with concurrent.futures.ThreadPoolExecutor(24) as pool: answers = list(pool.map(one, jobs))
        ended = {name: 0 for name in SCHEMAS}
        for (name, seed), choice in answers:
            if choice.finish_reason == 'length': continue
            expect(choice.finish_reason == 'stop', choice)
            document = json.loads(choice.message.content)
            jsonschema.Draft202012Validator(SCHEMAS[name]).validate(document)
            ended[name] += 1
            if name == 'person': expect(list(document)[:2] == ['name', 'age'], f'the order of the schema: {document}')
        print('        documents that ended, of 40:', ended)
        expect(all(count >= 20 for count in ended.values()), ended)
        # The same bits with other requests around and without.
        for name, seed in jobs[::29]:
            again = ask(api, response_format=format_of(SCHEMAS[name]), seed=seed, temperature=1.0).choices[0]
            expect(again.message.content == dict(answers)[name, seed].message.content, f'{name}, seed {seed} differs when it runs alone')


def objects_streams_choices_and_ends():
    with Cluster() as c:
        api = client(c)
        ended = 0
        for seed in range(12):
            choice = ask(api, response_format={'type': 'json_object'}, seed=seed, max_completion_tokens=250).choices[0]
            if choice.finish_reason == 'stop': ended += 1; expect(isinstance(json.loads(choice.message.content), dict), choice)
        expect(ended > 0, 'no object ended')
        fields = dict(response_format=format_of(SCHEMAS['person']), seed=5, n=3, temperature=1.0)
        whole = ask(api, **fields)
        expect(len({k.message.content for k in whole.choices}) > 1, 'choices are alike')
        text = ['', '', '']
        for chunk in ask(api, stream=True, **fields):
            for k in chunk.choices: text[k.index] += k.delta.content or ''
        expect(text == [k.message.content for k in whole.choices], 'the stream differs')
        short = ask(api, response_format=format_of(SCHEMAS['person']), max_completion_tokens=2).choices[0]
        expect(short.finish_reason == 'length', short)
        ends = ask(api, response_format=format_of({'enum': ['yes', 'no']}), extra_body={'ignore_eos': True, 'min_tokens': 50}).choices[0]
        expect(ends.finish_reason == 'stop' and json.loads(ends.message.content) in ('yes', 'no'), ends)
        plain = api.completions.create(model='tales', prompt='The fox', max_tokens=200, seed=1, extra_body={'guided_json': SCHEMAS['list']}).choices[0]
        jsonschema.validate(json.loads(plain.text), SCHEMAS['list'])
        logged = ask(api, response_format=format_of({'type': 'boolean'}), logprobs=True, top_logprobs=2, seed=1).choices[0]
        expect(b''.join(bytes(t.bytes) for t in logged.logprobs.content).decode() == logged.message.content, logged)


class Tale(pydantic.BaseModel):
    class Animal(pydantic.BaseModel):
        kind: str = pydantic.Field(max_length=8)
        legs: int = pydantic.Field(ge=0, le=8)

    title: str = pydantic.Field(max_length=16)
    hero: Animal
    others: list[Animal] = pydantic.Field(max_length=2)
    moral: bool | None


def parsed_by_pydantic():
    with Cluster() as c:
        api, ended = client(c), 0
        parse = getattr(api.chat.completions, 'parse', None) or api.beta.chat.completions.parse
        for seed in range(10):
            try: done = parse(model='tales', messages=MESSAGES, response_format=Tale, seed=seed, max_completion_tokens=400)
            except openai.LengthFinishReasonError: continue
            expect(isinstance(done.choices[0].message.parsed, Tale), done)
            ended += 1
        expect(ended >= 5, f'{ended} of 10 ended')


def check_calls(calls):
    for call in calls:
        expect(call.type == 'function' and call.id.startswith('call_'), call)
        arguments = json.loads(call.function.arguments)
        expect(isinstance(arguments, dict), call)
        if call.function.name != 'get_time': jsonschema.validate(arguments, PARAMETERS[call.function.name])


def tools_are_called_as_the_choice_says():
    with Cluster() as c:
        api, several = client(c), 0
        for seed in range(12):
            fields = dict(tools=TOOLS, tool_choice='required', seed=seed, temperature=3.0)  # calm, it never wants a second call
            done = ask(api, **fields).choices[0]
            if done.finish_reason == 'length': continue
            expect(done.finish_reason == 'tool_calls' and done.message.content is None and done.message.tool_calls, done)
            check_calls(done.message.tool_calls)
            several += len(done.message.tool_calls) > 1
            joined = {}
            for chunk in ask(api, stream=True, **fields):
                for k in chunk.choices:
                    expect(not k.delta.content, k)
                    for piece in k.delta.tool_calls or []:
                        name, arguments, id_ = joined.get(piece.index, ('', '', ''))
                        joined[piece.index] = (name or piece.function.name, arguments + (piece.function.arguments or ''), id_ or piece.id)
                    reason = k.finish_reason or None
            expect(reason == 'tool_calls', reason)
            expect([v[:2] for v in joined.values()] == [(t.function.name, t.function.arguments) for t in done.message.tool_calls], 'the stream differs')
            expect(len({v[2] for v in joined.values()}) == len(joined), 'ids')
        expect(several > 0, 'never two calls')
        for seed in range(6):
            one = ask(api, tools=TOOLS, tool_choice='required', parallel_tool_calls=False, seed=seed).choices[0]
            if one.finish_reason != 'length': expect(len(one.message.tool_calls) == 1, one)
            named = ask(api, tools=TOOLS, tool_choice={'type': 'function', 'function': {'name': 'get_weather'}}, seed=seed).choices[0]
            if named.finish_reason != 'length': expect([t.function.name for t in named.message.tool_calls] == ['get_weather'], named)
        for choice in ('auto', 'none'):
            free = ask(api, tools=TOOLS, tool_choice=choice, max_completion_tokens=20, seed=1).choices[0]
            expect(free.message.content and not free.message.tool_calls and free.finish_reason in ('stop', 'length'), free)


def tools_in_the_form_of_v3():
    with Cluster('--tool-call-parser', 'deepseek_v3') as c:
        api, ended = client(c), 0
        for seed in range(8):
            done = ask(api, tools=TOOLS, tool_choice='required', seed=seed, parallel_tool_calls=False).choices[0]  # else it would call for ever
            if done.finish_reason == 'length': continue
            ended += 1
            expect(done.finish_reason == 'tool_calls' and done.message.content is None, done)
            check_calls(done.message.tool_calls)
        expect(ended > 2, ended)


def a_round_of_tools():
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, 'tales')
        shutil.copytree(TALES, model)
        config = json.load(open(os.path.join(model, 'tokenizer_config.json')))
        json.dump({**config, 'chat_template': TEMPLATE}, open(os.path.join(model, 'tokenizer_config.json'), 'w'))
        with Cluster(model=model) as c:
            api = client(c)
            messages = [{'role': 'system', 'content': 'Be brief.'}, *MESSAGES]
            done = next(d for d in (api.chat.completions.create(model='tales', messages=messages, tools=TOOLS, tool_choice='required', seed=s, max_tokens=300).choices[0]
                                    for s in range(20)) if d.finish_reason == 'tool_calls')
            messages += [done.message, *({'role': 'tool', 'tool_call_id': t.id, 'content': '21 degrees'} for t in done.message.tool_calls)]
            answer = api.chat.completions.create(model='tales', messages=messages, tools=TOOLS, tool_choice='none', max_tokens=10, seed=1)
            expect(answer.choices[0].message.content, answer)
            raw = api.post('/tokenize', body={'messages': MESSAGES, 'tools': TOOLS, 'return_token_strs': True}, cast_to=object)
            text = ''.join(raw['token_strs'])
            expect('## Tools' in text and 'get_weather' in text and '"maxLength": 10' in text or '"maxLength":10' in text, text[:400])


def calls_that_a_model_begins_by_itself():
    """A vocabulary with the token that opens calls: once it has come, only calls of known tools can."""
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, 'tales')
        shutil.copytree(TALES, model)
        path, tag = os.path.join(model, 'tokenizer.json'), '<｜tool▁calls▁begin｜>'
        text = open(path, encoding='utf-8').read()
        expect(text.count('"<think>"') > 0, 'the token that is renamed')
        open(path, 'w', encoding='utf-8').write(text.replace('"<think>"', f'"{tag}"'))
        with Cluster(model=model) as c:
            api, ended = client(c), 0
            for seed in range(8):
                for several in (True, False):
                    done = ask(api, tools=TOOLS, seed=seed, parallel_tool_calls=several, logit_bias={'4094': 100}).choices[0]
                    if done.finish_reason == 'length': continue
                    ended += 1
                    expect(done.finish_reason == 'tool_calls' and done.message.tool_calls, done)
                    check_calls(done.message.tool_calls)
                    expect(several or len(done.message.tool_calls) == 1, done)
            expect(ended > 4, ended)
            free = ask(api, tools=TOOLS, max_completion_tokens=12, seed=1, logit_bias={'4094': -100}).choices[0]
            bare = ask(api, tools=TOOLS, max_completion_tokens=12, seed=1, logit_bias={'4094': -100}, parallel_tool_calls=False).choices[0]
            expect(free.message.content and free.message.content == bare.message.content and not free.message.tool_calls, free)


def what_is_not_supported_is_refused_by_name():
    with Cluster() as c:
        api = client(c)
        error = refused(lambda: ask(api, response_format=format_of({'type': 'object', 'properties': {'a': {'type': 'string', 'pattern': 'a+'}}})))
        expect(error.code == 'unsupported_value' and error.param == 'response_format.json_schema.schema' and '$.properties.a' in error.message and '"pattern"' in error.message, error)
        error = refused(lambda: ask(api, response_format=format_of({'type': 'strin'})))
        expect(error.code == 'invalid_value' and '$: type' in error.message, error)
        strict = json.loads(json.dumps(TOOLS)); strict[1]['function']['strict'] = True
        error = refused(lambda: ask(api, tools=strict, tool_choice='required'))
        expect(error.param == 'tools' and 'get_time' in error.message, error)
        refused(lambda: ask(api, tools=TOOLS, response_format={'type': 'json_object'}))
        refused(lambda: ask(api, response_format={'type': 'grammar'}))
        wait_until(lambda: c.pages_in_use() == 0, 10, 'all pages are free')


TESTS = [every_document_is_valid, objects_streams_choices_and_ends, parsed_by_pydantic, tools_are_called_as_the_choice_says, tools_in_the_form_of_v3, a_round_of_tools, calls_that_a_model_begins_by_itself,
         what_is_not_supported_is_refused_by_name]
