"""The cases of metrics_check."""
import http.client, io, json, os, re, shutil, signal, socket, subprocess, sys, tempfile, time
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'cluster'))
import local_cluster
from local_cluster import ROOT, expect, finish, main, wait_until
import numpy
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_prometheus

PROMPT = 'Once upon a time there was a little girl who lived near the forest.'
OPENMETRICS = 'application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5'
LAYERS, EXPERTS, EXPERTS_PER_TOKEN = 7, 32, 4  # of checkpoints/tales
MOE_LAYERS = 5  # that run: the first layer is dense, the last one the MTP layer, which is placed and not used


def ask(address, path, method='GET', headers={}, body=None):
    connection = http.client.HTTPConnection(*address.rsplit(':', 1), timeout=30)
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, answer.headers, data


class Samples:
    """One reading of /metrics, parsed."""

    def __init__(self, text, parse=parse_prometheus):
        self.families = {f.name: f for f in parse(text)}
        self.samples = {}
        for family in self.families.values():
            for s in family.samples: self.samples[s.name, tuple(sorted(s.labels.items()))] = s.value

    def __call__(self, name, **labels):
        key = name, tuple(sorted(labels.items()))
        expect(key in self.samples, f'no sample {name}{labels or ""}')
        return self.samples[key]

    def sum(self, name):
        return sum(v for (n, _), v in self.samples.items() if n == name)

    def names(self):
        return {n for n, _ in self.samples}


class Cluster(local_cluster.Cluster):
    """Knows its HTTP ports too."""

    def __enter__(self):
        super().__enter__()
        self.http, self.metrics = (re.search(rf'^{name} (\S+)$', self.said(), re.M)[1] for name in ('http', 'metrics'))
        return self

    def text(self):
        status, headers, data = ask(self.metrics, '/metrics')
        expect(status == 200 and headers['Content-Type'].startswith('text/plain; version=0.0.4'), f'{status} {headers["Content-Type"]}')
        return data.decode()

    def read(self):
        return Samples(self.text())

    def post(self, body):
        return ask(self.http, '/v1/completions', 'POST', {'Content-Type': 'application/json'}, json.dumps(body))

    def settled(self):
        """A reading once the last heartbeats are in: two with equal sums."""
        def same():
            before = self.read()
            time.sleep(0.2)
            after = self.read()
            return after if before.sum('atoll_expert_tokens_total') == after.sum('atoll_expert_tokens_total') and after('atoll_requests_running') == 0 else None
        return wait_until(same, 20, 'the figures stand still')


def every_figure_is_what_was_asked_for():
    with Cluster() as c:
        before = c.settled()
        answers = [c.generate(prompt=PROMPT, max_tokens=20, ignore_eos=True, seed=i) for i in range(3)]
        answers.append(c.generate(prompt=PROMPT, max_tokens=7, ignore_eos=True, n=3))
        expect(c.post({'prompt': PROMPT, 'max_tokens': 5, 'ignore_eos': True})[0] == 200, 'a completion failed')
        expect(c.post({'prompt': PROMPT, 'temperature': -1})[0] == 400, 'a bad temperature was taken')
        expect(ask(c.http, '/nowhere')[0] == 404, 'there is something at /nowhere')
        after = c.settled()
        grown = lambda name, **labels: after(name, **labels) - before.samples.get((name, tuple(sorted(labels.items()))), 0)
        prompt = answers[0]['usage']['prompt_tokens']
        expect(grown('atoll_requests_total', outcome='ok') == 5, 'five requests ended well')
        expect(grown('atoll_sequences_total', outcome='length') == 7, 'seven sequences ended at their length')
        expect(grown('atoll_prompt_tokens_total') == 5 * prompt, f'prompt tokens: {grown("atoll_prompt_tokens_total")}, 5 x {prompt}')
        expect(grown('atoll_generated_tokens_total') == 3 * 20 + 3 * 7 + 5, 'generated tokens')
        expect(grown('atoll_time_to_first_token_seconds_count') == 5, 'first tokens')
        expect(grown('atoll_inter_token_latency_seconds_count') == 3 * 19 + 3 * 6 + 4, 'tokens less sequences')
        expect(grown('atoll_request_duration_seconds_count') == 5, 'durations')
        phases = sum(grown(f'atoll_request_{p}_seconds_sum') for p in ('queue', 'prefill', 'decode'))
        expect(abs(phases - grown('atoll_request_duration_seconds_sum')) < 1e-6, f'phases add up to {phases}')
        expect(grown('atoll_request_generated_tokens_sum') == 86, 'tokens of answers')
        expect(grown('atoll_requests_refused_total', reason='invalid_field') == 1, 'one refusal')
        post = dict(handler='/v1/completions', method='POST')
        expect((grown('atoll_http_requests_total', status='200', **post), grown('atoll_http_requests_total', status='400', **post)) == (1, 1), 'HTTP statuses')
        expect(grown('atoll_http_requests_total', handler='other', method='other', status='404') == 1, 'HTTP 404')
        rows = 5 * prompt + 2 * prompt + 3 * 19 + 3 * 6 + 4  # each sequence runs the prompt; its last token is sampled, not run
        expect(after.sum('atoll_expert_tokens_total') - before.sum('atoll_expert_tokens_total') == rows * MOE_LAYERS * EXPERTS_PER_TOKEN,
               f'{after.sum("atoll_expert_tokens_total") - before.sum("atoll_expert_tokens_total")} pairs of {rows} rows')
        model = dict(model_name='tales', engine='0')
        for ours, theirs in (('atoll_generated_tokens_total', 'vllm:generation_tokens_total'), ('atoll_prompt_tokens_total', 'vllm:prompt_tokens_total'),
                             ('atoll_request_duration_seconds_sum', 'vllm:e2e_request_latency_seconds_sum'), ('atoll_inter_token_latency_seconds_count', 'vllm:inter_token_latency_seconds_count')):
            expect(after(ours) == after(theirs, **model), f'{theirs} differs')
        expect(after('vllm:request_success_total', finished_reason='length', **model) == after('atoll_sequences_total', outcome='length'), 'finished reasons differ')
        expect(after('atoll_ready') == 1 and after('atoll_nodes', role='expert', state='ready') == 2 and after('atoll_experts') == (1 + MOE_LAYERS) * EXPERTS, 'the cluster')


def cancelled_and_late_requests_are_told_apart():
    with Cluster() as c:
        late = c.start('--json', prompt=PROMPT, max_tokens=1900, ignore_eos=True, timeout_ms=300)
        expect(finish(late, 30)[0] != 0, 'a request outlived its deadline')
        connection = http.client.HTTPConnection(*c.http.rsplit(':', 1), timeout=30)
        connection.request('POST', '/v1/completions', json.dumps({'prompt': PROMPT, 'max_tokens': 1900, 'ignore_eos': True, 'stream': True}), {'Content-Type': 'application/json'})
        answer = connection.getresponse()
        answer.readline()
        answer.close(); connection.close()
        wait_until(lambda: c.read()('atoll_requests_running') == 0, 20, 'no request runs')
        after = c.settled()
        expect((after('atoll_requests_total', outcome='cancelled'), after('atoll_requests_total', outcome='deadline')) == (1, 1), 'outcomes')
        expect((after('atoll_sequences_total', outcome='abort'), after('atoll_sequences_total', outcome='error')) == (1, 1), 'sequences')
        expect(after('atoll_http_requests_total', handler='/v1/completions', method='POST', status='499') == 1, 'the client left')


def preemptions_are_counted():
    with Cluster('--kv-cache-memory-bytes', '1600000') as c:
        running = [c.start('--json', prompt=PROMPT, max_tokens=500, ignore_eos=True, seed=i) for i in range(8)]
        wait_until(lambda: c.read().sum('atoll_kv_cache_usage_ratio') > 0.8, 30, 'the cache is full')
        for process in running: expect(finish(process, 120)[0] == 0, 'a stream failed')
        after = c.settled()
        expect(after.sum('atoll_preemptions_total') > 0, 'nobody was preempted')
        expect(after('vllm:num_preemptions_total', model_name='tales', engine='0') == after.sum('atoll_preemptions_total'), 'the alias differs')
        expect(after.sum('atoll_kv_pages_used') == 0 and after('atoll_requests_total', outcome='ok') == 8, 'pages are free again')


def a_lost_expert_node_is_seen():
    with Cluster(experts=2) as c:
        expect(c.read()('atoll_expert_replicas_min') == 2, 'every expert has two replicas')
        running = [c.start('--json', prompt=PROMPT, max_tokens=1500, ignore_eos=True, seed=i) for i in range(4)]
        wait_until(lambda: c.read()('atoll_generated_tokens_total') > 100, 30, 'tokens come')
        os.kill(c.children()['expert-1'], signal.SIGKILL)
        wait_until(lambda: c.read()('atoll_nodes', role='expert', state='ready') < 2 or c.read()('atoll_expert_replicas_min') < 2, 10, 'the loss shows')
        wait_until(lambda: c.read().sum('atoll_parts_sent_again_total') > 0, 10, 'rows were sent again')
        for process in running: expect(finish(process, 120)[0] == 0, 'a stream failed')
        wait_until(lambda: c.read()('atoll_expert_replicas_min') == 2, 30, 'the node is back')
        expect(c.settled()('atoll_requests_total', outcome='ok') == 4, 'requests')


def both_formats_and_head():
    with Cluster() as c:
        c.generate(prompt=PROMPT, max_tokens=300, ignore_eos=True)
        c.settled()
        plain = c.read()
        status, headers, data = ask(c.metrics, '/metrics', headers={'Accept': OPENMETRICS})
        expect(status == 200 and headers['Content-Type'] == 'application/openmetrics-text; version=1.0.0; charset=utf-8', headers['Content-Type'])
        expect(data.endswith(b'# EOF\n'), 'no EOF')
        moving = re.compile(r'process_|atoll_node_heartbeat_age|atoll_balancer_age')
        still = lambda samples: {k: v for k, v in samples.samples.items() if not moving.match(k[0])}
        expect(still(Samples(data.decode(), parse_openmetrics)).items() == still(plain).items(), 'the two formats differ')
        status, headers, data = ask(c.metrics, '/metrics', 'HEAD')
        expect(status == 200 and data == b'' and int(headers['Content-Length']) > 1000, f'HEAD: {status}, {len(data)} bytes')
        expect(ask(c.http, '/metrics')[0] == 404 and ask(c.http, '/debug/expert_load')[0] == 404, "an operator's path on the public port")
        if not shutil.which('promtool'): return print('SKIPPED promtool: not installed (Debian package prometheus)')
        run = subprocess.run(['promtool', 'check', 'metrics'], input=c.text(), capture_output=True, text=True, timeout=60)
        findings = [l for l in (run.stdout + run.stderr).splitlines() if l and not (l.startswith('vllm:') and "should not contain ':'" in l)]
        # vLLM's names are as they are.
        findings = [l for l in findings if not l.startswith('vllm:')]
        expect(not findings, f'promtool: {findings[:5]}')


def metric_names_of_deployment():
    """By place, the metrics that dashboards, alerts and autoscalers of k8s/ name."""
    found = {}
    for folder, _, names in os.walk(os.path.join(ROOT, 'k8s', 'components')):
        for name in names:
            text = open(os.path.join(folder, name)).read()
            code = '\n'.join(l for l in text.splitlines() if not l.lstrip().startswith('#'))
            for metric in re.findall(r'\b(?:vllm:|atoll_|process_)\w+', code): found.setdefault(metric, name)
    return found


def whatever_is_named_elsewhere_is_there():
    with Cluster(attention=2, experts=2) as c:
        running = [c.start('--json', prompt=PROMPT, max_tokens=600, ignore_eos=True, seed=i) for i in range(8)]
        wait_until(lambda: c.read()('atoll_requests_running') >= 8, 20, 'streams run')
        wait_until(lambda: 'atoll_balancedness' in c.read().names(), 30, 'balancedness is known')
        samples = c.read()
        for process in running: expect(finish(process, 120)[0] == 0, 'a stream failed')
    named = metric_names_of_deployment()
    named.pop('atoll_requests_waiting_and_running')  # made by an adapter of the metrics API, docs/kubernetes.md says how
    absent = {name: place for name, place in named.items() if name not in samples.names()}
    expect(not absent, f'not in /metrics: {absent}')
    expect(len(named) > 40, f'only {len(named)} names were found in k8s/')
    alerts = set(re.findall(r'alert: (\w+)', open(os.path.join(ROOT, 'k8s/components/monitoring/alerts.yaml')).read()))
    tested = open(os.path.join(ROOT, 'tests/k8s/alerts_test.yaml')).read()
    fire = {a for a in alerts if re.search(rf'alertname: {a}\n\s+exp_alerts:', tested)}
    expect(fire == alerts, f'no test in which these fire: {alerts - fire}')


def queries_of_the_dashboard_are_well_formed():
    if not shutil.which('promtool'): return print('SKIPPED: no promtool (Debian package prometheus)')
    board = json.load(open(os.path.join(ROOT, 'k8s/components/monitoring/dashboard.json')))
    queries = [t['expr'] for p in board['panels'] for t in p.get('targets', [])] + [a['expr'] for a in board['annotations']['list']]
    rules = [{'record': f'query:{i}', 'expr': q.replace('$__rate_interval', '5m').replace('$namespace', '.*')} for i, q in enumerate(queries)]
    with tempfile.NamedTemporaryFile('w', suffix='.yaml') as file:
        json.dump({'groups': [{'name': 'dashboard', 'rules': rules}]}, file); file.flush()
        run = subprocess.run(['promtool', 'check', 'rules', file.name], capture_output=True, text=True, timeout=60)
    expect(run.returncode == 0 and len(queries) > 50, f'{len(queries)} queries: {(run.stdout + run.stderr)[-400:]}')
    places = [(p['gridPos']['x'], p['gridPos']['y']) for p in board['panels']]
    expect(len(set(places)) == len(places) and len({p['id'] for p in board['panels']}) == len(places), 'panels lie on each other')


def prometheus_scrapes_it_and_evaluates_the_rules():
    if not shutil.which('prometheus'): return print('SKIPPED: no prometheus (Debian package prometheus)')
    rules = open(os.path.join(ROOT, 'k8s/components/monitoring/alerts.yaml')).read().split('\nspec:\n')[1]
    with Cluster() as c, tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{free.getsockname()[1]}'
        free.close()
        open(f'{folder}/rules.yaml', 'w').write('\n'.join(l[2:] for l in rules.splitlines()))
        json.dump({'global': {'scrape_interval': '1s', 'evaluation_interval': '1s'}, 'rule_files': [f'{folder}/rules.yaml'],
                   'scrape_configs': [{'job_name': 'atoll', 'static_configs': [{'targets': [c.metrics]}]}]}, open(f'{folder}/p.yaml', 'w'))
        c.generate(prompt=PROMPT, max_tokens=20, ignore_eos=True)
        server = subprocess.Popen(['prometheus', f'--config.file={folder}/p.yaml', f'--storage.tsdb.path={folder}/data', f'--web.listen-address={address}'],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            def data(path):
                try: return json.loads(ask(address, path)[2])['data']
                except (OSError, ValueError, KeyError): return {}
            target = wait_until(lambda: [t for t in data('/api/v1/targets').get('activeTargets', []) if t['health'] != 'unknown'], 30, 'a scrape')[0]
            expect(target['health'] == 'up', target['lastError'])
            result = wait_until(lambda: data('/api/v1/query?query=sum(atoll_generated_tokens_total)').get('result'), 10, 'a figure')
            expect(float(result[0]['value'][1]) == 20, result)
            evaluated = lambda: [r for g in data('/api/v1/rules').get('groups', []) for r in g['rules']]
            wait_until(lambda: evaluated() and all(r['health'] == 'ok' for r in evaluated()), 20, 'rules are evaluated')
        finally:
            server.terminate(); server.wait(20)


def loads_are_what_was_routed():
    with Cluster() as c:
        c.settled()
        tables = lambda path: json.loads(ask(c.metrics, path)[2])
        expect(ask(c.metrics, '/debug/expert_load/dump')[0] == 400 and ask(c.metrics, '/debug/expert_load/stop', 'POST')[0] == 400, 'no recording')
        expect(ask(c.metrics, '/debug/expert_load?format=xml')[0] == 400 and ask(c.metrics, '/debug/expert_load?color=red')[0] == 400, 'bad queries')
        before = tables('/debug/expert_load')
        expect(ask(c.metrics, '/debug/expert_load/start', 'POST')[0] == 200, 'start')
        answer = c.generate(prompt=PROMPT, max_tokens=50, ignore_eos=True)
        c.settled()
        expect(ask(c.metrics, '/debug/expert_load/stop', 'POST')[0] == 200, 'stop')
        c.generate(prompt=PROMPT, max_tokens=30, ignore_eos=True)
        c.settled()
        dump, after = tables('/debug/expert_load/dump'), tables('/debug/expert_load')
        prompt, generated = (numpy.array(dump[n]) for n in ('prompt_count', 'generated_count'))
        expect(prompt.shape == (LAYERS, EXPERTS) and (dump['layers'], dump['experts']) == (LAYERS, EXPERTS), prompt.shape)
        per_layer = [0] + [EXPERTS_PER_TOKEN] * MOE_LAYERS + [0]
        expect(list(prompt.sum(1)) == [k * answer['usage']['prompt_tokens'] for k in per_layer], prompt.sum(1))
        expect(list(generated.sum(1)) == [k * 49 for k in per_layer], generated.sum(1))
        expect((numpy.array(dump['logical_count']) == prompt + generated).all(), 'prompt and generated add up')
        expect(dump['seconds'] > 0 and dump['model'] == 'tales', dump['model'])
        for part, table in (('all', prompt + generated), ('prompt', prompt), ('generated', generated)):
            read = numpy.load(io.BytesIO(ask(c.metrics, f'/debug/expert_load/dump?format=npy&part={part}')[2]))
            expect(read.dtype == numpy.int64 and (read == table).all(), f'npy {part} differs from JSON')
        grown = numpy.array(after['logical_count']) - numpy.array(before['logical_count'])
        expect((grown >= numpy.array(dump['logical_count'])).all() and grown.sum() > prompt.sum() + generated.sum(), 'the whole has more than the recording')
        with tempfile.NamedTemporaryFile('w', suffix='.json') as file:
            json.dump(after, file); file.flush()
            with Cluster('--expert-load', file.name) as again: again.generate(prompt=PROMPT, max_tokens=3)


def a_status_line_under_load_alone():
    line = re.compile(r'atoll-router: (\d+) requests; .* generated ([\d.]+) tokens/s; .* ended')
    with Cluster('--status-interval-ms', '300') as c:
        time.sleep(1.0)
        expect(not line.search(c.said()), 'an idle router wrote a status line')
        running = [c.start('--json', prompt=PROMPT, max_tokens=700, ignore_eos=True) for _ in range(4)]
        wait_until(lambda: len(line.findall(c.said())) >= 2, 30, 'two status lines')
        for process in running: expect(finish(process, 60)[0] == 0, 'a stream failed')
        time.sleep(0.7)  # the last line tells of the end
        count = len(line.findall(c.said()))
        expect(any(float(rate) > 0 for _, rate in line.findall(c.said())), 'no line has a rate')
        time.sleep(1.0)
        expect(len(line.findall(c.said())) == count, 'an idle router went on')


def how_long_answers_take_under_32_streams():
    """The longest of many readings, under the load that the bar names; the figure of a quiet machine is tests/bench/metrics'."""
    with Cluster() as c:
        running = [c.start('--json', prompt=PROMPT, max_tokens=500, ignore_eos=True, seed=i) for i in range(32)]
        wait_until(lambda: c.read()('atoll_requests_running') >= 32, 60, '32 streams')
        times = []
        for i in range(60):
            start = time.perf_counter()
            expect(ask(c.metrics, ('/metrics', '/debug/expert_load', '/debug/expert_load?format=npy')[i % 3])[0] == 200, 'no answer')
            times.append(time.perf_counter() - start)
        for process in running: expect(finish(process, 240)[0] == 0, 'a stream failed')
        times.sort()
        print(f'        median {1000 * times[30]:.1f} ms, longest {1000 * times[-1]:.1f} ms')


def only_own_names_where_asked_for():
    with Cluster('--no-vllm-metric-names') as c:
        text = c.text()
        expect('vllm:' not in text and '\nhttp_requests_total' not in text and 'atoll_build_info' in text, 'names')


if __name__ == '__main__':
    main([every_figure_is_what_was_asked_for, cancelled_and_late_requests_are_told_apart, preemptions_are_counted, a_lost_expert_node_is_seen, both_formats_and_head, whatever_is_named_elsewhere_is_there,
          queries_of_the_dashboard_are_well_formed, prometheus_scrapes_it_and_evaluates_the_rules,
          loads_are_what_was_routed, a_status_line_under_load_alone, how_long_answers_take_under_32_streams, only_own_names_where_asked_for])
