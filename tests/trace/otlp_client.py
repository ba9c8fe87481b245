"""What otlp_check runs in its environment: an OTLP receiver, a cluster that sends to it, requests with a traceparent."""
import concurrent.futures, json, os, re, signal, socket, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1 import trace_pb2
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'cluster'))
from local_cluster import Cluster, expect, main, wait_until

PROMPT = 'Once upon a time there was a little girl who lived near the forest.'
CLIENT_SPAN = '00f067aa0ba902b7'


class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self):
        self.spans, self.services, self.lock = [], {}, threading.Lock()
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self.server)
        self.port = self.server.add_insecure_port('127.0.0.1:0')
        self.server.start()

    def Export(self, request, context):
        with self.lock:
            for resource in request.resource_spans:
                about = {a.key: a.value.string_value for a in resource.resource.attributes}
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        self.spans.append(span)
                        self.services[span.span_id] = about
        return trace_service_pb2.ExportTraceServiceResponse()

    def of_trace(self, trace_id):
        with self.lock: return [s for s in self.spans if s.trace_id.hex() == trace_id]


class Traced:
    """A cluster whose environment says where spans go."""
    def __init__(self, *arguments, **variables):
        self.variables = variables
        self.cluster = Cluster(*arguments)

    def __enter__(self):
        self.before = {name: os.environ.get(name) for name in self.variables}
        os.environ.update(self.variables)
        try: return self.cluster.__enter__()
        finally:
            for name, value in self.before.items():
                if value is None: os.environ.pop(name)
                else: os.environ[name] = value

    def __exit__(self, *_): self.cluster.stop()


def port(cluster, name): return re.search(rf'^{name} (\S+)$', cluster.said(), re.M)[1]


def complete(cluster, traceparent=None, prompt=PROMPT, max_tokens=6):
    headers = {'Content-Type': 'application/json'} | ({'traceparent': traceparent, 'tracestate': 'vendor=7'} if traceparent else {})
    body = json.dumps({'model': 'tales', 'prompt': prompt, 'max_tokens': max_tokens, 'seed': 5, 'logprobs': 1}).encode()
    with urllib.request.urlopen(urllib.request.Request(f'http://{port(cluster, "http")}/v1/completions', body, headers), timeout=60) as answer:
        return json.load(answer)['choices'][0]


# Bytes by hand, so that no generated code of ours is needed: GenerateRequest {text = 3, stopping = 7 {max_tokens = 1}}.
def generate_over_grpc(cluster, traceparent):
    text = PROMPT.encode()
    request = bytes([0x1a, len(text)]) + text + bytes([0x3a, 2, 0x08, 6])
    with grpc.insecure_channel(cluster.address) as channel:
        call = channel.unary_stream('/atoll.v1.InferenceService/Generate', request_serializer=lambda b: b, response_deserializer=lambda b: b)
        return len(list(call(request, metadata=[('traceparent', traceparent)], timeout=60)))


def traceparent(trace_id, sampled=True): return f'00-{trace_id}-{CLIENT_SPAN}-0{int(sampled)}'


def check_tree(receiver, trace_id):
    """One connected trace over all three programs, with what each is to say."""
    def whole():
        names = [s.name for s in receiver.of_trace(trace_id)]
        return {'sequence', 'step', 'experts', 'queue', 'prefill', 'decode'} <= set(names) and any('tales' in n for n in names) and names
    wait_until(whole, 15, f'all spans, found {sorted({s.name for s in receiver.of_trace(trace_id)})}')
    time.sleep(0.5)
    spans = receiver.of_trace(trace_id)
    by_id = {s.span_id: s for s in spans}
    expect(len(by_id) == len(spans), 'a span id twice')
    roots = [s for s in spans if s.parent_span_id.hex() == CLIENT_SPAN]
    expect(len(roots) == 1 and roots[0].name == 'text_completion tales', [r.name for r in roots])
    for span in spans:
        expect(span.span_id == roots[0].span_id or span.parent_span_id in by_id, f'{span.name} hangs in the air')
        expect(0 < span.start_time_unix_nano <= span.end_time_unix_nano, f'{span.name}: times')
        expect(abs(span.end_time_unix_nano / 1e9 - time.time()) < 120, f'{span.name}: not of now')
    services = {receiver.services[s.span_id]['service.name'] for s in spans}
    expect(services == {'atoll-router', 'atoll-attention', 'atoll-expert'}, services)
    parent_of = lambda span: by_id[span.parent_span_id]
    for span in spans:
        if span.name == 'experts': expect(parent_of(span).name == 'step', 'experts below their step')
        if span.name.startswith('layer'): expect(parent_of(span).name == 'step', 'layers below their step')
        if span.name in ('queue', 'prefill', 'decode'): expect(span.parent_span_id == roots[0].span_id, span.name)
    sequence = next(s for s in spans if s.name == 'sequence')
    expect(parent_of(sequence) is roots[0], 'the sequence below the request')
    steps = {s.span_id for s in spans if s.name == 'step'}
    expect(steps and {link.span_id for link in sequence.links} == steps, 'the sequence links to its steps')
    expect({receiver.services[s.span_id]['service.instance.id'] for s in spans if s.name == 'experts'} == {'expert-0', 'expert-1'}, 'both expert nodes')
    about = {a.key: a.value for a in roots[0].attributes}
    expect(about['gen_ai.operation.name'].string_value == 'text_completion' and about['gen_ai.provider.name'].string_value == 'deepseek', about)
    expect(about['gen_ai.request.model'].string_value == 'tales' and about['gen_ai.usage.output_tokens'].int_value == 6, about)
    expect(roots[0].kind == trace_pb2.Span.SPAN_KIND_SERVER and 'error.type' not in about, roots[0])
    return roots[0]


def one_request_is_one_trace_over_http_and_grpc():
    receiver = Receiver()
    with Traced(OTEL_EXPORTER_OTLP_ENDPOINT=f'http://127.0.0.1:{receiver.port}', OTEL_TRACES_SAMPLER='parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG='0') as cluster:
        complete(cluster, traceparent('4bf92f3577b34da6a3ce929d0e0e4736'))
        root = check_tree(receiver, '4bf92f3577b34da6a3ce929d0e0e4736')
        expect(root.trace_state == 'vendor=7', root.trace_state)
        generate_over_grpc(cluster, traceparent('11f92f3577b34da6a3ce929d0e0e4711'))
        check_tree(receiver, '11f92f3577b34da6a3ce929d0e0e4711')
        # With a ratio of 0 nothing else is sent: not without a parent, not with one that is not sampled, not with an invalid one.
        count = len(receiver.spans)
        complete(cluster)
        complete(cluster, traceparent('22f92f3577b34da6a3ce929d0e0e4722', sampled=False))
        complete(cluster, '00-00000000000000000000000000000000-00f067aa0ba902b7-01')
        time.sleep(2)
        expect(len(receiver.spans) == count, [s.name for s in receiver.spans[count:]])


def a_failed_request_says_so_in_its_span():
    receiver = Receiver()
    trace_id = '33f92f3577b34da6a3ce929d0e0e4733'
    with Traced(OTEL_EXPORTER_OTLP_ENDPOINT=f'http://127.0.0.1:{receiver.port}', OTEL_SERVICE_NAME='front') as cluster:
        try: complete(cluster, traceparent(trace_id), max_tokens=10**7)
        except urllib.error.HTTPError as error: expect(error.code == 400, error.code)
        span = wait_until(lambda: receiver.of_trace(trace_id), 10, 'the span of a refusal')[0]
        about = {a.key: a.value.string_value for a in span.attributes}
        expect(about['error.type'] == 'INVALID_ARGUMENT' and span.status.code == trace_pb2.Status.STATUS_CODE_ERROR, span)
        expect(receiver.services[span.span_id]['service.name'] == 'front', 'OTEL_SERVICE_NAME')


def the_same_bits_with_and_without_and_nothing_is_sent_without():
    receiver = Receiver()
    with Traced(OTEL_EXPORTER_OTLP_ENDPOINT=f'http://127.0.0.1:{receiver.port}') as cluster:
        traced = [complete(cluster, traceparent('44f92f3577b34da6a3ce929d0e0e4744'), max_tokens=40), complete(cluster, max_tokens=40)]
        wait_until(lambda: receiver.spans, 10, 'spans')
    count = len(receiver.spans)
    with Cluster() as cluster:
        plain = [complete(cluster, traceparent('44f92f3577b34da6a3ce929d0e0e4744'), max_tokens=40), complete(cluster, max_tokens=40)]
        expect('spans' not in cluster.said(), 'a word of spans where nobody wants them')
    expect(traced == plain, 'tokens and log-probabilities differ')
    expect(len(receiver.spans) == count, 'spans without an endpoint')


def a_receiver_that_is_away_or_mute_holds_up_nobody():
    with socket.create_server(('127.0.0.1', 0)) as mute:  # takes connections and says nothing
        with Traced(OTEL_EXPORTER_OTLP_ENDPOINT=f'http://127.0.0.1:{mute.getsockname()[1]}') as cluster:
            begin = time.time()
            for _ in range(20): complete(cluster, max_tokens=20)
            expect(time.time() - begin < 30, 'requests wait for spans')
            begin = time.time()
            cluster.stop()
            expect(time.time() - begin < 10, f'the end waits for spans: {time.time() - begin:.1f} s')
            expect('spans could not be sent' in cluster.said() or 'cannot be sent' in cluster.said(), cluster.said()[-500:])


def a_wrong_setting_ends_the_start():
    for name, value in (('OTEL_EXPORTER_OTLP_ENDPOINT', 'https://127.0.0.1:1'), ('OTEL_TRACES_SAMPLER', 'sometimes')):
        variables = {'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1'} | {name: value}
        traced = Traced(**variables)
        try:
            with traced: pass
        except Exception: pass
        else: expect(False, f'{name}={value} was taken')
        expect(name in traced.cluster.said(), traced.cluster.said()[-300:])


def health_is_watched_through_a_stop():
    """Watch stays open and tells each change of the service; "" serves as long as the process is well."""
    with Cluster() as cluster, grpc.insecure_channel(cluster.address) as channel:
        stub, seen = health_pb2_grpc.HealthStub(channel), {'': [], 'atoll.v1.InferenceService': []}
        watches = [stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in seen]
        def follow(watch, name):
            try:
                for answer in watch: seen[name].append(answer.status)
            except grpc.RpcError: pass
        threads = [threading.Thread(target=follow, args=pair) for pair in zip(watches, seen)]
        for thread in threads: thread.start()
        SERVING, NOT = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
        service = seen['atoll.v1.InferenceService']
        wait_until(lambda: service == [SERVING], 5, service)
        pid = cluster.children()['attention-0']
        os.kill(pid, signal.SIGSTOP)
        try: wait_until(lambda: service == [SERVING, NOT], 3, service)
        finally: os.kill(pid, signal.SIGCONT)
        wait_until(lambda: service == [SERVING, NOT, SERVING], 20, service)
        expect(seen[''] == [SERVING], f'the process was well all the time: {seen[""]}')
        for watch in watches: watch.cancel()
        for thread in threads: thread.join()


def our_messages_are_the_protocols():
    """Every message, field, enum value and method of proto/opentelemetry is in the published package, with the same number and type."""
    root = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'proto')
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(['protoc', '-I', root, '--include_imports', f'--descriptor_set_out={out.name}', f'{root}/opentelemetry/proto/collector/trace/v1/trace_service.proto'], check=True)
        files = descriptor_pb2.FileDescriptorSet.FromString(out.read()).file
    compared = 0
    def compare(ours, theirs, name):
        nonlocal compared
        fields = {f.name: f for f in theirs.field}
        for field in ours.field:
            other = fields.get(field.name)
            same = other and (field.number, field.type, field.label, field.type_name) == (other.number, other.type, other.label, other.type_name)
            expect(same, f'{name}.{field.name}: {field} is not {other}')
            compared += 1
        for kind in ('nested_type', 'enum_type'):
            for inner in getattr(ours, kind):
                other = {i.name: i for i in getattr(theirs, kind)}[inner.name]
                if kind == 'nested_type': compare(inner, other, f'{name}.{inner.name}')
                else: values(inner, other)
    def values(ours, theirs):
        expect({(v.name, v.number) for v in ours.value} <= {(v.name, v.number) for v in theirs.value}, ours)
    for file in files:
        theirs = descriptor_pb2.FileDescriptorProto()
        descriptor_pool.Default().FindFileByName(file.name).CopyToProto(theirs)
        expect(file.package == theirs.package, file.package)
        for message in file.message_type: compare(message, {m.name: m for m in theirs.message_type}[message.name], message.name)
        for service in file.service:
            other = {s.name: s for s in theirs.service}[service.name]
            expect([(m.name, m.input_type, m.output_type) for m in service.method] == [(m.name, m.input_type, m.output_type) for m in other.method], service)
    expect(compared > 40, f'{compared} fields')


main([our_messages_are_the_protocols, one_request_is_one_trace_over_http_and_grpc, a_failed_request_says_so_in_its_span, the_same_bits_with_and_without_and_nothing_is_sent_without,
      a_receiver_that_is_away_or_mute_holds_up_nobody, a_wrong_setting_ends_the_start, health_is_watched_through_a_stop])
